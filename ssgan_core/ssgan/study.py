"""An experiment on photographs: its label draws, its trainings, its results."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ssgan_core.checkpoint import save_checkpoint
from ssgan_core.device import EAGER
from ssgan_core.errors import InputError
from ssgan_core.intervals import format_ci, interval_table, marks
from ssgan_core.paths import resolve_path
from ssgan_core.photos.labels import choose_labeled, draw_labeled, moved_in_words
from ssgan_core.photos.labels_csv import read_labeled
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.photos.splits import HELD
from ssgan_core.results import Run, read_recorded
from ssgan_core.side_by_side import how_many, run_side_by_side
from ssgan_core.ssgan.analysis import calibration_error, honest_calibration_error
from ssgan_core.ssgan.fit import Fit, fit
from ssgan_core.ssgan.recipes import ALL, FEATURES, Recipe, find_recipe
from ssgan_core.ssgan.settings import BaselineSettings, GANSettings, PhotoSettings

TESTED = {"last step": "last", "best evaluation": "best", "without EMA": "last_raw"}


def label_draws(
    settings: PhotoSettings,
    photos: PhotoSet,
    report: Callable[[str], None],
    measured: bool = True,
) -> list[PhotoSet]:
    """The photos with the labels of each draw, of which all recipes learn: the CSV's where one is
    given, else `settings.labels` drawn with the seed `settings.seed + draw`.

    Raises InputError where no photo is left for validation or the test, unless `measured` is false.
    """
    if settings.labeled_set:
        chosen = [read_labeled(resolve_path(settings.labeled_set), photos)] * settings.draws
    else:
        if len(photos.rows("labeled")):
            report(
                "labels are drawn from labeled/ and train/ alike; labeled_set, a CSV, "
                "keeps to chosen photos"
            )
        seeds = range(settings.seed, settings.seed + settings.draws)
        chosen = [draw_labeled(photos, settings.labels, seed) for seed in seeds]
    for warning in chosen[0].warnings:
        report(warning)
    draws = [choose_labeled(photos, labels) for labels in chosen]
    if moved := moved_in_words(draws[0].moved):
        report(f"the labeled set moves photos: {moved}")
    for split in HELD:
        if not len(draws[0].rows(split)):
            told = (
                f"no photo is in split {split!r}, by which nothing can be measured then; name some "
                f"in the labeled set, with {split} in a third column, split"
            )
            if measured:
                raise InputError(told)
            report(told)
    return draws


def data_summary(draws: Sequence[PhotoSet]) -> dict[str, Any]:
    """What `metrics.json` tells of the photos, and of the labels of all draws a checksum.

    A set of which several draws learn counts once, so that it is the same in one run and in
    several. Where a labeled set moved photos, the checksum is also that of what is held out.
    `test_photos` names the test photos by the beginnings of their digests, in the order in which
    `correct` tells of them.
    """
    labels = [
        tuple(sorted(zip(data.table["path"][rows], data.table["label"][rows], strict=True)))
        for data in draws
        for split in ("labeled", *(HELD if data.moved else ()))
        for rows in [data.rows(split)]
    ]
    text = json.dumps([draws[0].classes, list(dict.fromkeys(labels))], default=int)
    checksum = hashlib.sha256(text.encode()).hexdigest()
    names = " ".join(draws[0].table["digest"].iloc[draws[0].rows("test")].str[:8])
    return draws[0].summary | {"labels_checksum": checksum, "test_photos": names}


def run_recipes(
    names: Sequence[str],
    settings: BaselineSettings | GANSettings,
    draws: Sequence[PhotoSet],
    run: Run,
    report: Callable[[str], None],
) -> dict[str, list[Fit]]:
    """Train each recipe once for each label draw; draw i has the seed `settings.seed + i`.

    On a GPU they train side by side, in processes of their own that leave their checkpoints; what
    was killed goes on here.
    """
    trainings = {}
    for name in names:
        recipe = find_recipe(name)
        for draw, data in enumerate(draws):
            options = settings.options(recipe, len(data.rows("labeled")))
            options |= {"seed": settings.seed + draw}
            options |= {"checkpoint": run.checkpoint(f"{name}-{draw}.pt")}
            trainings[name, draw] = recipe, data, options
    jobs = how_many(partial(_try_out, trainings.values()), len(trainings), report)
    if jobs > 1:
        report(f"{len(trainings)} trainings, {jobs} side by side")
        images = run.checkpoint("images.pt")
        save_checkpoint(images, {"images": draws[0].images})
        tasks = {
            f"{name}, draw {draw + 1}": (images, recipe, replace(data, images=None), options)
            for (name, draw), (recipe, data, options) in trainings.items()
        }
        run_side_by_side(_fit_alone, tasks, jobs, report)
        images.unlink()
    fits: dict[str, list[Fit]] = {name: [] for name in names}
    for (name, draw), (recipe, data, options) in trainings.items():
        labels = len(data.rows("labeled"))
        report(f"{name}, draw {draw + 1} of {len(draws)}: {labels} labels")
        fits[name].append(fit(recipe, data, **options, report=report))
    return fits


def _try_out(trainings: Iterable[tuple[Recipe, PhotoSet, dict[str, Any]]]) -> None:
    """A few steps of each recipe as its training has them when it takes the most memory."""
    few = {"steps": EAGER + 1, "evaluations": 1, "checkpoint": None}
    kinds = {recipe.name: (recipe, *rest) for recipe, *rest in trainings}
    for recipe, data, options in kinds.values():
        fit(replace(recipe, small_first=0.0, gan_every=1), data, **options | few)


def _fit_alone(images: Path, recipe: Recipe, data: PhotoSet, options: dict[str, Any]) -> None:
    """A training in a process of its own, up to its last checkpoint."""
    pixels = torch.load(images, mmap=True, weights_only=True)["images"]
    fit(recipe, replace(data, images=pixels), **options)


def fit_runs(fits: Mapping[str, Sequence[Fit]]) -> pd.DataFrame:
    """Trainings by recipe as a frame of runs, as `ssgan_core.results` has it.

    `labeled` and `validation` hold the labeled loss and validation accuracy of each evaluation.
    """
    return pd.DataFrame(
        {"method": name, "seed": done.seed}
        | done.test
        | {"steps": done.history.step.iloc[-1], "minutes": done.history.seconds.iloc[-1] / 60}
        | {term: done.history[term].tolist() for term in ("labeled", "validation")}
        | {"correct": marks(done.correct)}
        for name, runs in fits.items()
        for done in runs
    )


def calibration_table(fits: Mapping[str, Sequence[Fit]], truth: np.ndarray) -> pd.DataFrame:
    """Accuracy, mean confidence and calibration error on test images of classes `truth`, and the
    error that chance alone would give: a row a recipe, means with their 95 % intervals."""
    columns = {
        "accuracy": lambda p: (p.argmax(1) == truth).mean(),
        "mean confidence": lambda p: p.max(1).mean(),
        "calibration error": lambda p: calibration_error(p, truth),
        "by chance alone": honest_calibration_error,
    }
    rows = {
        name: {t: format_ci([of(run.probabilities) for run in runs]) for t, of in columns.items()}
        for name, runs in fits.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def summary(runs: pd.DataFrame) -> dict[str, dict[str, list]]:
    """What `metrics.json` keeps of each recipe: a value a draw of each test accuracy, the steps,
    the validation accuracies of its evaluations, and which test images the last of them read
    right."""
    kept = [*TESTED.values(), "steps", "validation", "correct"]
    return {name: rows[kept].to_dict("list") for name, rows in runs.groupby("method", sort=False)}


def settings_then(metrics: Mapping[str, Any]) -> str:
    """What the recipe of a recorded training had where today's is different, `ema 0.98, …`.

    A setting that has come since was at its default then, which leaves everything as it was; one
    that the training was asked for is no change of the recipe.
    Empty where they agree, where the recipe is no longer there, and for other records.
    """
    recipe = ALL.get(metrics.get("settings", {}).get("recipe"))
    then = metrics.get("recipe")
    if not (recipe and then):
        return ""
    then, now = Recipe("", "").settings | then, recipe.settings
    asked = {key: value for key, value in metrics["settings"].items() if value is not None}
    names = [n for n in then | now if then.get(n) not in (now.get(n), asked.get(n, now.get(n)))]
    return ", ".join(f"{name} {then.get(name)}" for name in names)


def recorded_runs(folder: Path, methods: Sequence[str] = ()) -> pd.DataFrame:
    """Recorded trainings below a folder: of the methods, in their order, or of all, in the recipes'
    order; none gives an empty frame."""
    runs = read_recorded(folder, settings_then)
    if runs.empty:
        columns = ["method", "seed", "labels", "last", "best", "validation", "steps", "remark"]
        return pd.DataFrame(columns=columns)
    order = {name: place for place, name in enumerate(methods or [*ALL, *FEATURES])}
    runs = runs[runs.method.isin(order)] if methods else runs
    return runs.sort_values("method", key=lambda names: names.map(order), kind="stable")


def features_table(runs: pd.DataFrame) -> pd.DataFrame:
    """What recorded features, learned without a label, are worth: a row a task.

    A training counts as the mean over its label draws, and the interval is that over trainings;
    the spread is the standard deviation over the label draws of one training.
    """
    by = runs.groupby(["method", "finished"], sort=False)
    trainings = by[["last", "clusters", "steps"]].mean().assign(spread=by["last"].std())
    tasks = trainings.groupby("method", sort=False)
    told = {
        "spread over labels": (100 * tasks.spread.mean()).map("{:.1f} points".format),
        "clusters tell (NMI)": tasks.clusters.mean().map("{:.3f}".format),
        "steps": tasks.steps.mean().map("{:,.0f}".format),
    }
    table = interval_table(trainings.reset_index(), columns={"a hundred labels on them": "last"})
    return table.rename(columns={"runs": "trainings"}).assign(**told)


def settings_table(names: Sequence[str]) -> pd.DataFrame:
    """The settings in which recipes differ, a column each; all settings of a single one."""
    table = pd.DataFrame({name: find_recipe(name).settings for name in names}, dtype=object)
    return table[table.map(repr).nunique(axis=1) > 1] if len(names) > 1 else table
