"""What chosen photos are worth as labels, where the classes of all photos are known."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ssgan_core.errors import InputError
from ssgan_core.intervals import format_ci, gap, marks, mean_ci, spread_ratio
from ssgan_core.photos.features import probe
from ssgan_core.photos.files import UNKNOWN, PhotoCollection


def probe_sets(
    photos: PhotoCollection, known: tuple[np.ndarray, np.ndarray], sets: Iterable[np.ndarray]
) -> dict[str, list]:
    """Test accuracy of a logistic regression on frozen features, for each set of labeled rows.

    `known` are rows (n,), ascending, and their features (n, F), as `read_features` has them. A
    column a measure, a value a set: `last` the accuracy, `correct` the `intervals.marks` of the
    test photos, `of_first_class` the share of the set that is of the first class.

    Raises InputError where a class is unknown, or no test photo has features.
    """
    rows, features = known
    classes, test = photos.table["label"].to_numpy(), np.intersect1d(photos.rows("test"), rows)
    if not len(test) or (classes == UNKNOWN).any():
        found = f"{(classes == UNKNOWN).sum()} photos of unknown class and {len(test)} to test on"
        raise InputError(f"{photos.root} has {found}; photos whose classes are all known serve")
    values: dict[str, list] = {"last": [], "correct": [], "of_first_class": []}
    unseen = features[np.searchsorted(rows, test)]
    for labeled in sets:
        seen = features[np.searchsorted(rows, labeled)], classes[labeled]
        right = probe(seen, unseen) == classes[test]
        values["last"].append(float(right.mean()))
        values["correct"].append(marks(right))
        values["of_first_class"].append(float((classes[labeled] == 0).mean()))
    return values


def against_random(runs: pd.DataFrame) -> pd.DataFrame:
    """What each method's sets give, how mean and spread differ from those of random sets, and how
    many random labels give as much, at the mean and (in brackets) at both ends of its interval.

    `runs` has a row a set: `labels`, how many, `method` and `last`, the test accuracy. A row a
    number of labels and method, in the order of the runs; differences need two sets of each.
    """
    rows = []
    for (labels, method), own in runs.groupby(["labels", "method"], sort=False):
        row = {"labels": labels, "method": method, "test accuracy": format_ci(own["last"])}
        spread = f"{100 * own['last'].std():.1f}" if len(own) > 1 else "–"
        row |= {"standard deviation": spread, "sets": len(own)}
        others = runs[(runs["labels"] == labels) & (runs["method"] == "random")]
        if len(others) and runs["labels"].nunique() > 1:
            mean, half = mean_ci(own["last"])
            worth, low, high = (_in_labels(runs, at) for at in (mean, mean - half, mean + half))
            row["worth random labels"] = f"{worth} ({low} to {high})" if len(own) > 1 else worth
        if method != "random" and len(others) > 1:
            row["mean against random"] = str(gap(own, others))
            if len(own) > 1 and others["last"].std() > 0:
                told = "{:.2f} ({:.2f}–{:.2f})".format(*spread_ratio(own["last"], others["last"]))
                row["spread against random"] = told
        rows.append(row)
    return pd.DataFrame(rows).fillna("–").set_index(["labels", "method"])


def worth_in_labels(runs: pd.DataFrame, accuracy: float) -> float:
    """How many random labels give this accuracy on average; infinite or 0 beyond what was tried.

    Between two numbers of labels the mean accuracy is taken to grow with their logarithm.
    """
    means = runs[runs["method"] == "random"].groupby("labels")["last"].mean().cummax()
    if not means.iloc[0] <= accuracy <= means.iloc[-1]:
        return np.inf if accuracy > means.iloc[-1] else 0.0
    return float(np.exp(np.interp(accuracy, means, np.log(means.index))))


def _in_labels(runs: pd.DataFrame, accuracy: float) -> str:
    """`worth_in_labels` as a table has it."""
    worth = worth_in_labels(runs, accuracy)
    if np.isinf(worth):
        return f"> {runs['labels'].max()}"
    return f"{worth:.0f}" if worth else f"< {runs['labels'].min()}"
