"""Labeled sets: which few photographs come with a label. Draw one, read one, check it, use it."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from ssgan_core.errors import InputError
from ssgan_core.photos.files import UNKNOWN, PhotoCollection, scan
from ssgan_core.photos.labels_csv import HEADER, LabeledSet, PhotoFinder, read_rows
from ssgan_core.photos.splits import seeded_hash, shares, split_photos

SHOWN = 5  # faults of a file that are spelled out
IMBALANCE = 4  # times as many photos of one class as of another before it is worth a warning


def draw_labeled(photos: PhotoCollection, n: int = 100, seed: int = 0) -> LabeledSet:
    """Draw `n` photos for labeling from the training split, at random and balanced over classes.

    The order of a seeded hash of the names decides, so that for one seed 50 labeled photos are
    among the 100, and another photo in the folder changes little. No photo is drawn that is
    byte-identical to one already drawn, held out or of another class.
    """
    return _draw(photos, _candidates(photos), n, seed, f"{n} random photos, seed {seed}")


def draw_by_attribute(
    photos: PhotoCollection,
    attributes: str | Path,
    where: Mapping[str, object],
    n: int = 100,
    seed: int = 0,
) -> LabeledSet:
    """Draw as `draw_labeled` does, but only photos with given attributes (of the drawn pets).

    `attributes` is a CSV file with a column `path` and a column per attribute; `where` maps
    attributes to the value, or list of values, that is wanted: `{"animals": 1, "pose": "lying"}`.
    """
    try:
        table = pd.read_csv(attributes, keep_default_na=False)  # 'None' is a value
    except (OSError, ValueError) as error:
        raise InputError(f"The attributes {attributes} cannot be read: {error}.") from error
    if "path" not in table:
        raise InputError(f"The attributes {attributes} have no column 'path'.")
    keep = np.ones(len(table), dtype=bool)
    for attribute, wanted in where.items():
        if attribute not in table or attribute == "path":
            known = ", ".join(column for column in table if column != "path")
            raise InputError(f"'{attribute}' is no attribute in {attributes}; there are {known}.")
        wanted = [wanted] if isinstance(wanted, str) or not isinstance(wanted, Iterable) else wanted
        present = table[attribute].unique()
        for value in (wanted := list(wanted)):
            if value not in present:
                raise InputError(
                    f"No photo in {attributes} has {attribute} = {value!r}; "
                    f"there are {', '.join(map(str, sorted(present)[:20]))}."
                )
        keep &= table[attribute].isin(wanted).to_numpy()
    rows = _candidates(photos)
    rows = rows[photos.table["path"].iloc[rows].isin(table["path"][keep]).to_numpy()]
    words = ", ".join(f"{attribute} = {wanted}" for attribute, wanted in where.items())
    return _draw(photos, rows, n, seed, f"{n} random photos with {words}, seed {seed}")


def draw_representative(
    photos: PhotoCollection, features: np.ndarray, n: int = 100, seed: int = 0
) -> LabeledSet:
    """Choose `n` photos of the training split that represent it: k-means, one photo a cluster.

    `features` is (len(photos), F), a row per photo. In each class, its share of `n` clusters is
    fitted and the photo nearest to each center is taken. This uses the class of every photo, as
    somebody does who looks for typical cats and typical dogs.
    """
    from sklearn.cluster import KMeans  # slow to import, and only this function needs it

    features = np.asarray(features, dtype=np.float32)
    if features.ndim != 2 or len(features) != len(photos) or not np.isfinite(features).all():
        raise InputError(
            f"The features have shape {features.shape}; a finite row for each of the "
            f"{len(photos)} photos is needed."
        )
    rows, chosen = _candidates(photos), []
    for name, (pool, share) in _per_class(photos, rows, n).items():
        distinct = len(np.unique(features[pool], axis=0))
        if distinct < share:
            raise InputError(
                f"Only {distinct} photos of class '{name}' differ in their features; "
                f"{share} clusters were asked for."
            )
        means = KMeans(share, n_init=1, random_state=seed).fit(features[pool])
        distance = means.transform(features[pool])
        for cluster in range(share):
            members = np.flatnonzero(means.labels_ == cluster)
            chosen.append(pool[members[distance[members, cluster].argmin()]])
    return _labeled_set(photos, chosen, f"{n} representative photos (k-means), seed {seed}")


def read_labeled(file: str | Path, photos: PhotoCollection) -> LabeledSet:
    """Read a labeled set from CSV (`path,label`) and check it against the photos.

    A path is the photo's name in the collection, its path under the collection's root, or its
    file name alone where that is unique; a label is a class name in any case. A photo of unknown
    class may be labeled.

    Raises InputError that names file and line for a missing photo, a duplicate (also a
    byte-identical one), an unknown class, a label that contradicts the known one, a path that is
    absolute or leaves the root, and an overlap with validation or test (also through a
    byte-identical photo); of several faults the first five are listed and the rest counted. Also
    for a wrong header, an empty file, and a class with fewer than two photos.
    """
    _split_needed(photos)
    lines = read_rows(Path(file))
    find = PhotoFinder(photos)
    table, classes = photos.table, photos.classes
    held_out = table["split"].isin(["val", "test"])
    tested = dict(zip(table["digest"][held_out], table["split"][held_out], strict=True))
    labels: dict[int, int] = {}
    digests: dict[str, int] = {}  # to the line they were first seen in
    faults: list[str] = []
    for line, fields in lines:
        try:
            if len(fields) != len(HEADER):
                raise InputError(f"{len(fields)} fields where path,label are expected")
            path, name = (field.strip() for field in fields)
            row = find(path)
            if name.lower() not in classes:
                raise InputError(f"'{name}' is not a class (accepted: {', '.join(classes)})")
            label = classes.index(name.lower())
            known, split, digest = (table[c][row] for c in ("label", "split", "digest"))
            if known not in (label, UNKNOWN):
                raise InputError(f"'{path}' is labeled {name} but is a {classes[known]}")
            if split in ("val", "test"):
                raise InputError(f"'{path}' is held out for {split} and cannot be labeled")
            if digest in tested:
                raise InputError(f"'{path}' is byte-identical to a photo of {tested[digest]}")
            if row in labels:
                raise InputError(f"'{path}' is a duplicate of line {digests[digest]}")
            if digest in digests:
                raise InputError(f"'{path}' is byte-identical to line {digests[digest]}")
            labels[row], digests[digest] = label, line
        except InputError as fault:
            faults.append(f"line {line}: {fault}")
    if faults:
        more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise InputError(f"The labeled set {file} has {count}: {'; '.join(faults[:SHOWN])}{more}.")
    counts = {name: list(labels.values()).count(label) for label, name in enumerate(classes)}
    few = [f"{count} of class '{name}'" for name, count in counts.items() if count < 2]
    if few:
        raise InputError(
            f"The labeled set {file} has only {' and '.join(few)}; each class needs at least two."
        )
    warnings = []
    if max(counts.values()) > IMBALANCE * min(counts.values()):
        words = ", ".join(f"{count} {name}" for name, count in counts.items())
        warnings.append(f"The labeled set {file} is unbalanced: {words}.")
    rows = np.array(sorted(labels), dtype=np.int64)
    return LabeledSet(
        rows,
        np.array([labels[row] for row in rows], dtype=np.int64),
        tuple(table["path"].iloc[rows]),
        classes,
        str(file),
        tuple(warnings),
    )


def choose_labeled(photos: PhotoCollection, labeled: LabeledSet) -> PhotoCollection:
    """The collection with the split `train` divided into `labeled` and `unlabeled`.

    The photos are found by name, so that the collection may have lost corrupt ones meanwhile.
    """
    _split_needed(photos)
    table = photos.table.copy()
    rows = pd.Index(table["path"]).get_indexer(labeled.paths)
    for row, path in zip(rows, labeled.paths, strict=True):
        if row < 0:
            raise InputError(
                f"The labeled photo '{path}' ({labeled.source}) is not among the photos in "
                f"{photos.root} that could be used."
            )
        if table["split"][row] in ("val", "test"):
            raise InputError(
                f"The labeled photo '{path}' ({labeled.source}) is held out for "
                f"{table['split'][row]} in {photos.root}."
            )
    table.loc[~table["split"].isin(["val", "test"]), "split"] = "unlabeled"
    table.loc[rows, "split"] = "labeled"
    table.loc[rows, "label"] = labeled.labels
    return replace(photos, table=table)


def _split_needed(photos: PhotoCollection) -> None:
    if not (photos.table["split"] != "").all():
        raise InputError(
            f"The photos in {photos.root} have no splits yet: call split_photos first."
        )


def _candidates(photos: PhotoCollection) -> np.ndarray:
    """Rows that may be drawn: of known class, in training, and with no twin that forbids it."""
    _split_needed(photos)
    table = photos.table
    held_out = table["split"].isin(["val", "test"])
    labels = table.groupby("digest")["label"].agg(["min", "max"])
    disputed = labels.index[labels["min"] != labels["max"]]
    forbidden = table["digest"].isin(table["digest"][held_out]) | table["digest"].isin(disputed)
    free = (table["label"] != UNKNOWN) & ~held_out & ~forbidden & ~table["digest"].duplicated()
    return np.flatnonzero(free)


def _per_class(
    photos: PhotoCollection, rows: np.ndarray, n: int
) -> dict[str, tuple[np.ndarray, int]]:
    """For each class its rows among `rows` and its share of `n`."""
    if n < 2 * len(photos.classes):
        raise InputError(
            f"{n} labeled photos were asked for; at least two of each class are needed, "
            f"{2 * len(photos.classes)} in all."
        )
    labels = photos.table["label"].to_numpy()[rows]
    pools = {}
    for label, share in enumerate(shares(n, len(photos.classes))):
        name, pool = photos.classes[label], rows[labels == label]
        if len(pool) < share:
            raise InputError(
                f"{share} labeled photos of class '{name}' were asked for; {len(pool)} that fit "
                f"are in the training split of {photos.root}."
            )
        pools[name] = pool, share
    return pools


def _draw(photos: PhotoCollection, rows: np.ndarray, n: int, seed: int, source: str) -> LabeledSet:
    paths = photos.table["path"]
    chosen: list[int] = []
    for pool, share in _per_class(photos, rows, n).values():
        # Not the hash of the splits: the photos next to the validation ones are not special.
        ordered = sorted(pool, key=lambda row: seeded_hash(f"labeled/{seed}", paths[row]))
        chosen.extend(ordered[:share])
    return _labeled_set(photos, chosen, source)


def _labeled_set(photos: PhotoCollection, rows: Sequence[int], source: str) -> LabeledSet:
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    labels = photos.table["label"].to_numpy()[rows].astype(np.int64)
    paths = tuple(photos.table["path"].iloc[rows])
    return LabeledSet(rows, labels, paths, photos.classes, source)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: draw a labeled set from a photo folder and write it as CSV."""
    parser = argparse.ArgumentParser(
        prog="python -m ssgan_core.photos.labels",
        description="Draw a balanced random labeled set from the training split of a photo folder.",
    )
    parser.add_argument("photos", help="folder of photos, in any layout that the book reads")
    parser.add_argument("--count", type=int, default=100, help="photos to label (100)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (0)")
    parser.add_argument("--out", required=True, help="CSV file to write")
    options = parser.parse_args(arguments)
    try:
        photos = split_photos(scan(options.photos))
        labeled = draw_labeled(photos, options.count, options.seed)
        labeled.write(options.out)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    counts = Counter(labeled.classes[label] for label in labeled.labels)
    words = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{options.out}: {words} of {len(photos)} photos ({photos.layout})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
