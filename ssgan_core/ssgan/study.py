"""An experiment on photographs: its label draws, its trainings, its results."""

from collections.abc import Callable, Sequence

import pandas as pd

from ssgan_core.paths import resolve_path
from ssgan_core.photos.labels import choose_labeled, draw_labeled, read_labeled
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.results import Run, format_ci
from ssgan_core.ssgan.fit import Fit, fit
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.ssgan.settings import PhotoSettings


def label_draws(
    settings: PhotoSettings, photos: PhotoSet, report: Callable[[str], None]
) -> list[PhotoSet]:
    """The photos with the labels of each draw, of which all recipes learn: the CSV's where one is
    given, else `settings.labels` drawn with the seed `settings.seed + draw`."""
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
    return [choose_labeled(photos, labels) for labels in chosen]


def run_draws(
    name: str,
    settings: PhotoSettings,
    draws: Sequence[PhotoSet],
    run: Run,
    report: Callable[[str], None],
) -> list[Fit]:
    """Train one recipe once for each label draw; draw i has the seed `settings.seed + i`."""
    recipe, fits = find_recipe(name), []
    for draw, data in enumerate(draws):
        labels = len(data.rows("labeled"))
        report(f"{name}, draw {draw + 1} of {len(draws)}: {labels} labels")
        fits.append(
            fit(
                recipe,
                data,
                **settings.options(recipe, labels),
                evaluations=settings.evaluations,
                seed=settings.seed + draw,
                checkpoint=run.checkpoint(f"{name}-{draw}.pt"),
                report=report,
            )
        )
    return fits


def compare(fits: dict[str, list[Fit]]) -> pd.DataFrame:
    """Test accuracy of each recipe: mean over the draws with its 95 % interval."""
    names = {"last": "last epoch", "best": "best validation epoch", "last_raw": "not averaged"}
    rows = {
        recipe: {title: format_ci([f.test[key] for f in runs]) for key, title in names.items()}
        | {"draws": len(runs)}
        for recipe, runs in fits.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("recipe")


def summary(fits: dict[str, list[Fit]]) -> dict[str, dict[str, list]]:
    """What `metrics.json` keeps of each recipe: a value a draw of each test accuracy, and the
    validation accuracies round by round."""
    return {
        name: {key: [f.test[key] for f in runs] for key in ("last", "best", "last_raw")}
        | {"validation": [f.history.validation.tolist() for f in runs]}
        for name, runs in fits.items()
    }
