"""Which photos of a collection may be chosen for labeling, and which are."""

from __future__ import annotations

import numpy as np

from ssgan_core.labeling.choose import Groups, choose
from ssgan_core.photos.files import PhotoCollection
from ssgan_core.photos.splits import HELD


def candidates(photos: PhotoCollection) -> np.ndarray:
    """Rows that may be labeled, int64 ascending; no class is looked at.

    Those of no held-out split and without a byte-identical twin in one, of each set of twins the
    first. In a collection without splits that is every photo but the later twins.
    """
    table = photos.table
    held_out = table["split"].isin(HELD)
    tested = table["digest"].isin(table["digest"][held_out])
    return np.flatnonzero(~tested & ~table["digest"].duplicated())


def choose_photos(
    photos: PhotoCollection,
    method: str,
    count: int,
    seed: int = 0,
    features: tuple[np.ndarray, np.ndarray] | None = None,
) -> Groups:
    """Groups of rows of a collection that `choose` makes of its candidates.

    `features` are rows (n,), ascending, and their features (n, F), as `read_features` has them; a
    photo without any is not chosen. `random` needs none.
    """
    rows = candidates(photos)
    values = np.empty((len(rows), 0), dtype=np.float32)
    if features:
        known, values = features
        rows, _, places = np.intersect1d(rows, known, assume_unique=True, return_indices=True)
        values = values[places]
    return [rows[group] for group in choose(method, values, count, seed)]
