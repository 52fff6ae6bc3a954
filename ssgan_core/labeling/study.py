"""What chosen photos are worth as labels, where the classes of all photos are known."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ssgan_core.errors import InputError
from ssgan_core.intervals import marks
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
