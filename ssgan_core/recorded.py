"""Recorded results: the metrics of runs too long for a page, read back and set side by side."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ssgan_core.errors import InputError
from ssgan_core.results import format_ci, paired_gain


def read_recorded(folder: Path) -> pd.DataFrame:
    """One row for each training that a `metrics.json` below a folder tells of, by their paths.

    Columns are the settings (`seed` that of this repetition), `method`, its values (`last`,
    `best`, `minutes` of training, …) and where it comes from: `data`, `device`, `git`,
    `finished`. No such folder, or an empty one, gives an empty frame.

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
            origin |= {"data": metrics["data"]["name"]}
            for method, values in metrics["values"].items():
                for i in range(len(values["last"])):
                    one = {name: repetitions[i] for name, repetitions in values.items()}
                    one |= {"method": method, "seed": metrics["settings"]["seed"] + i}
                    rows.append(metrics["settings"] | one | origin)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} is no record of a training ({type(error).__name__}: {error}); it is "
                "what ssgan_core.train and ssgan_core.train_digits write"
            ) from error
    return pd.DataFrame(rows)


def compare_recorded(
    runs: pd.DataFrame, by: Sequence[str] = ("method",), against: str | None = None
) -> pd.DataFrame:
    """Test accuracy at the last step of runs that agree in the columns `by`.

    A row of the table holds the mean with its 95 % interval, the gain over the method `against`
    in the runs of the same seeds, the number of runs and where they come from.
    """
    others = runs[runs.method == against].set_index("seed")["last"]
    rows = []
    for key, group in runs.groupby(list(by), sort=False):
        row = dict(zip(by, key, strict=True)) | {"test accuracy": format_ci(group["last"])}
        if against:
            itself = (group.method == against).all()
            gain = "–" if itself else _gain(group.set_index("seed")["last"], others)
            row[f"against {against}"] = gain
        rows.append(
            row
            | {
                "runs": len(group),
                "minutes a run": f"{group.minutes.mean():.0f}",
                "device": ", ".join(group.device.unique()),
                "commit": ", ".join(group.git.unique()),
                "date": group.finished.str[:10].max(),
            }
        )
    return pd.DataFrame(rows).set_index(list(by))


def _gain(accuracies: pd.Series, others: pd.Series) -> str:
    """The gain over others, both indexed by seed; a dash where they share no seed."""
    both = pd.concat([accuracies, others], axis=1, join="inner")
    return "–" if both.empty else paired_gain(*both.to_numpy().T)[0]
