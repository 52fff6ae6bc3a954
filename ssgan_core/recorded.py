"""Recorded results: the metrics of runs too long for a page, read back and set side by side."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ssgan_core.errors import InputError
from ssgan_core.results import format_ci, paired_gain
from ssgan_core.ssgan.recipes import ALL, Recipe


def read_recorded(folder: Path) -> pd.DataFrame:
    """One row for each training that a `metrics.json` below a folder tells of, by their paths.

    Columns are the settings (`seed` that of this repetition), `method`, its values (`last`,
    `best`, `minutes` of training, …), where it comes from: `data`, `device`, `git`, `finished`,
    and a `remark` that somebody has added to the file. No such folder, or an empty one, gives an
    empty frame. A recipe that has changed since is another method, whose name tells what it had:
    `ssgan (small_first 0.85)`.

    Raises
    ------
    InputError
        A file is not the metrics of `ssgan_core.train` or `ssgan_core.train_digits`.
    """
    rows = []
    for path in sorted(folder.rglob("metrics.json")):
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
            origin = {name: metrics[name] for name in ("device", "git", "finished")}
            origin |= {"data": metrics["data"]["name"], "remark": metrics.get("remark", "")}
            changed = f" ({then})" if (then := settings_then(metrics)) else ""
            for method, values in metrics["values"].items():
                for i in range(len(values["last"])):
                    one = {name: repetitions[i] for name, repetitions in values.items()}
                    one |= {"method": method + changed, "seed": metrics["settings"]["seed"] + i}
                    rows.append(metrics["settings"] | one | origin)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is no record of a training ({type(error).__name__}: {error}); it is "
                "what ssgan_core.train and ssgan_core.train_digits write"
            ) from error
    return pd.DataFrame(rows)


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


def compare_recorded(
    runs: pd.DataFrame, by: Sequence[str] = ("method",), against: str | None = None
) -> pd.DataFrame:
    """Test accuracy at the last step of runs that agree in the columns `by`.

    A row of the table holds the mean with its 95 % interval, the gain over the method `against`
    in the runs of the same seeds, what `linear_probe` found in those that have it, the number of
    runs and where they come from.
    """
    others = runs[runs.method == against]
    rows = []
    for key, group in runs.groupby(list(by), sort=False):
        row = dict(zip(by, key, strict=True)) | {"test accuracy": format_ci(group["last"])}
        if against:
            itself = (group.method == against).all()
            row[f"against {against}"] = "–" if itself else recorded_gain(group, others)[0]
        if "probe" in group and group.probe.notna().any():
            row["linear probe"] = format_ci(group.probe.dropna())
        rows.append(
            row
            | {
                "runs": len(group),
                "steps a run": f"{group.steps.mean():,.0f}",
                "minutes a run": f"{group.minutes.mean():.0f}",
                "device": "; ".join(group.device.unique()),
                "commit": ", ".join(group.git.str[:7].unique()),
                "date": group.finished.str[:10].max(),
            }
        )
    table = pd.DataFrame(rows).set_index(list(by))
    return table.fillna({"linear probe": "–"}) if "linear probe" in table else table


def recorded_gain(runs: pd.DataFrame, others: pd.DataFrame) -> tuple[str, str]:
    """What runs gain over others of the same seeds, and what that allows to say.

    As `paired_gain` has it; a dash where they share no seed.
    """
    both = pd.concat([r.set_index("seed")["last"] for r in (runs, others)], axis=1, join="inner")
    if both.empty:
        return "–", "No two recorded runs have the same labels."
    return paired_gain(*both.to_numpy().T)


def in_words(runs: pd.DataFrame | None, pairs: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """What a text says of an experiment: key → words, "not recorded" where there are no runs.

    For every method in `pairs` its mean accuracy, under its name; draw by draw, by their seeds,
    its accuracies (`draws-…`) and linear probes (`probes-…`); its mean `steps-…`. For every pair,
    name → (method, other), what the first gains over the other (`gain-…`) and its `verdict-…`.
    """
    if runs is None:
        runs = pd.DataFrame(columns=["method", "seed", "last", "probe", "steps"])
    methods = dict.fromkeys(method for pair in pairs.values() for method in pair)
    rows = {method: runs[runs.method == method].sort_values("seed") for method in methods}
    words = {}
    for method, own in rows.items():
        told = {
            method: format_ci(own["last"]) if len(own) else "",
            f"draws-{method}": ", ".join(f"{100 * value:.1f} %" for value in own["last"]),
            f"probes-{method}": ", ".join(f"{100 * value:.1f} %" for value in own["probe"]),
            f"steps-{method}": f"{own.steps.mean():,.0f}" if len(own) else "",
        }
        words |= {key: text or "not recorded" for key, text in told.items()}
    for key, (method, other) in pairs.items():
        words[f"gain-{key}"], words[f"verdict-{key}"] = recorded_gain(rows[method], rows[other])
    return words
