"""Features of photographs: a file of them, written and read; what a few labels make of them."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssgan_core.errors import InputError, explain
from ssgan_core.paths import whole_file
from ssgan_core.photos.files import PhotoCollection

FILE = "features.npz"


def write_features(folder: Path, photos: PhotoCollection, features: np.ndarray) -> None:
    """Write `features.npz`: the features (N, F) of all photos, with their paths and checksum."""
    with whole_file(folder / FILE) as partial, partial.open("wb") as file:
        paths = photos.table["path"].to_numpy(str)
        np.savez(file, paths=paths, features=features, checksum=photos.checksum)


def read_features(folder: str | Path, photos: PhotoCollection) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) int64 of `photos` and their features (n, F) float32, from `features.npz`.

    The file holds `paths` (n,), `features` (n, F) and `checksum`, that of the collection or of the
    photos in it that could be decoded. Raises InputError where it is missing, no such file, or made
    from other photos.
    """
    file = Path(folder) / FILE
    try:
        with np.load(file, allow_pickle=False) as saved:
            paths, features = saved["paths"], saved["features"]
            checksum = str(saved["checksum"])
    except OSError as error:
        raise InputError(f"The features {file} cannot be read: {explain(error)}.") from error
    except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{file} does not hold paths, features and checksum, as ssgan_core.pretrain writes "
            f"them ({error})."
        ) from error
    if features.ndim != 2 or paths.shape != features.shape[:1]:
        raise InputError(
            f"{file} holds features {features.shape} for paths {paths.shape}; (N, F) for (N,) are "
            f"accepted."
        )
    table = photos.table
    rows = np.flatnonzero(table["path"].isin(paths))
    used = replace(photos, table=table.iloc[rows])
    if len(rows) != len(paths) or checksum not in (photos.checksum, used.checksum):
        raise InputError(
            f"{file} holds features of other photos than those in {photos.root}: {len(rows)} of "
            f"its {len(paths)} names are there, and names or bytes differ; make them anew with "
            f"python -m ssgan_core.pretrain."
        )
    order = np.argsort(paths)  # the table is sorted by path
    return rows, np.asarray(features[order], dtype=np.float32)


def probe(seen: tuple[np.ndarray, np.ndarray], unseen: np.ndarray) -> np.ndarray:
    """Classes (M,) that a logistic regression on features (N, F) and their classes (N,) gives to
    the features (M, F) of others; the only class, where all N are of one."""
    features, classes = seen
    if len(np.unique(classes)) < 2:
        return np.full(len(unseen), classes[0])
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    return probe.fit(features, classes).predict(unseen)
