"""Which photos may be chosen for labeling."""

from __future__ import annotations

import numpy as np

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
