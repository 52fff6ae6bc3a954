"""Recorded results: the metrics of runs too long for a page, read back and set side by side."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ssgan_core.errors import InputError
from ssgan_core.results import format_ci


def read_recorded(folder: Path) -> pd.DataFrame:
    """One row for each method in each `metrics.json` below a folder, in the order of their paths.

    Columns are the run's settings, `method`, its values (`last`, `best`, …: a list, one accuracy
    a repetition) and where it comes from: `data`, `device`, `git`, `finished`, `wall_s`. No such
    folder, or an empty one, gives an empty frame.

    Raises
    ------
    InputError
        A file is not the metrics of `ssgan_core.train` or `ssgan_core.train_digits`.
    """
    rows = []
    for path in sorted(folder.rglob("metrics.json")):
        try:
            metrics = json.loads(path.read_text(encoding="utf-8"))
            origin = {name: metrics[name] for name in ("device", "git", "finished", "wall_s")}
            origin |= {"data": metrics["data"]["name"]}
            for method, values in metrics["values"].items():
                rows.append(metrics["settings"] | {"method": method} | values | origin)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is no record of a training ({type(error).__name__}: {error}); it is "
                "what ssgan_core.train and ssgan_core.train_digits write"
            ) from error
    return pd.DataFrame(rows)


def compare_recorded(runs: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Test accuracy at the last step of runs that agree in the columns `by`.

    A row of the table holds the mean with its 95 % interval, the number of repetitions and where
    they come from.
    """
    rows = []
    for key, group in runs.groupby(list(by), sort=False):
        accuracies = group["last"].explode().astype(float)
        minutes = group.wall_s.sum() / 60 / len(accuracies)
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "test accuracy": format_ci(accuracies),
                "runs": len(accuracies),
                "minutes a run": f"{minutes:.0f}",
                "device": ", ".join(group.device.unique()),
                "commit": ", ".join(group.git.unique()),
                "date": group.finished.str[:10].max(),
            }
        )
    return pd.DataFrame(rows).set_index(list(by))
