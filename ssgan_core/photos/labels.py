"""Labeled sets: which few photographs come with a label. Draw one, read one, check it, use it."""

from __future__ import annotations

import argparse
import contextlib
import csv
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import pandas as pd

from ssgan_core.command_line import run_command
from ssgan_core.errors import InputError
from ssgan_core.paths import whole_file
from ssgan_core.photos.files import LAYOUTS, UNKNOWN, PhotoCollection, class_name, counted, scan
from ssgan_core.photos.splits import HELD, seeded_hash, shares, split_photos

HEADER = ["path", "label"]
IMBALANCE = 4  # times as many photos of one class as of another before it is worth a warning


@dataclass(frozen=True, eq=False)
class LabeledSet:
    """A few photos and their labels: `rows` (n,) and `labels` (n,) int64, `paths`, `classes`.

    `source` says in words where the set comes from; `warnings` what is odd but accepted.
    """

    rows: np.ndarray
    labels: np.ndarray
    paths: tuple[str, ...]
    classes: tuple[str, ...]
    source: str
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def write(self, file: str | Path) -> None:
        """Write the set as CSV (`path,label`), sorted by class and path; whole or not at all."""
        names = [self.classes[label] for label in self.labels]
        table = pd.DataFrame({"path": self.paths, "label": names}).sort_values(["label", "path"])
        text = table.to_csv(index=False, lineterminator="\n")
        try:
            with whole_file(Path(file)) as partial:
                partial.write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise InputError(f"{file} cannot be written: {error.strerror}.") from error


def draw_labeled(photos: PhotoCollection, n: int = 100, seed: int = 0) -> LabeledSet:
    """Draw `n` photos for labeling from the training split, at random and balanced over classes.

    The order of a seeded hash of the names decides, so that for one seed 50 labeled photos are
    among the 100, and another photo in the folder changes little. No photo is drawn that is
    byte-identical to one already drawn, held out or of another class.
    """
    return _draw(photos, _candidates(photos), n, seed, f"{n} random photos, seed {seed}")


def read_labeled(file: str | Path, photos: PhotoCollection) -> LabeledSet:
    """Read a labeled set from CSV (`path,label`) and check it against the photos.

    A path is the photo's name in the collection or in another layout of it (`PetImages/Cat/1.jpg`
    is `cat.1.jpg`), or the end of its path, the file name alone too, where that is unique; a label
    is a class name in any case. A photo of unknown class may be labeled.

    Raises InputError that names file and line for every missing photo, duplicate (also a
    byte-identical one), unknown class, label that contradicts the known one, path that is
    absolute or leaves the root, and overlap with validation or test (also through a
    byte-identical photo). Also for a wrong header, an empty file, and a class with fewer than two
    photos.
    """
    _split_needed(photos)
    find = _finder(photos)
    table, classes = photos.table, photos.classes
    held_out = table["split"].isin(HELD)
    tested = dict(zip(table["digest"][held_out], table["split"][held_out], strict=True))
    labels: dict[int, int] = {}
    digests: dict[str, int] = {}  # to the line they were first seen in
    faults: list[str] = []
    for line, fields in _read_rows(file):
        try:
            if len(fields) != len(HEADER):
                raise InputError(f"{len(fields)} fields where path,label are expected")
            path, name = fields
            row = find(path)
            if class_name(name) not in classes:
                raise InputError(f"'{name}' is not a class (accepted: {', '.join(classes)})")
            label = classes.index(class_name(name))
            known, split, digest = (table[c][row] for c in ("label", "split", "digest"))
            if known not in (label, UNKNOWN):
                raise InputError(f"'{path}' is labeled {name} but is a {classes[known]}")
            if split in HELD:
                raise InputError(f"'{path}' is held out for {split} and cannot be labeled")
            if digest in tested:
                raise InputError(f"'{path}' is byte-identical to a photo of {tested[digest]}")
            if digest in digests:
                twin = "a duplicate of" if row in labels else "byte-identical to"
                raise InputError(f"'{path}' is {twin} line {digests[digest]}")
            labels[row], digests[digest] = label, line
        except InputError as fault:
            faults.append(f"line {line}: {fault}")
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise InputError(f"The labeled set {file} has {count}: {'; '.join(faults)}.")
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


def _read_rows(file: str | Path) -> list[tuple[int, list[str]]]:
    """The rows after the header `path,label`, with their line numbers; blank lines are left out."""
    try:
        text = Path(file).read_text("utf-8-sig")
        # As many columns as the longest line has, so that each row shows how many are its own.
        columns = range(max(line.count(",") for line in text.split("\n")) + 2)
        table = pd.read_csv(
            StringIO(text), header=None, names=columns, index_col=False, dtype=str,
            keep_default_na=False, skip_blank_lines=False, engine="python",
        )  # fmt: skip
    except OSError as error:
        raise InputError(f"The labeled set {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The labeled set {file} is not CSV in UTF-8 ({error}).") from error
    except ValueError as error:
        where = _last_row(text)
        raise InputError(
            f"The labeled set {file} is not CSV from line {where} on ({error})."
        ) from error
    whole = table.fillna("").sum(axis=1).astype(str)
    table.index += 1 + whole.str.count("\n").cumsum()  # a quoted field may go on in the next line
    lines = [
        (line, [field.strip() for field in row.dropna()])
        for line, row in table[(whole.str.strip() != "").to_numpy()].iterrows()
    ]
    if not lines:
        raise InputError(f"The labeled set {file} is empty; 'path,label' and rows are expected.")
    if [field.lower() for field in lines[0][1]] != HEADER:
        raise InputError(
            f"The labeled set {file} begins with '{','.join(lines[0][1])}'; the header "
            f"'path,label' is expected."
        )
    if len(lines) == 1:
        raise InputError(f"The labeled set {file} has a header but no row.")
    return lines[1:]


def _last_row(text: str) -> int:
    """The line where the last row begins that ends: behind it, a quote is left open."""
    rows, line = csv.reader(StringIO(text), strict=True), 1
    with contextlib.suppress(csv.Error):
        for _ in rows:
            line = rows.line_num + 1
    return line


def _finder(photos: PhotoCollection) -> Callable[[str], int]:
    """Turns a path that a person wrote into the row of a photo; InputError where it fits none."""
    paths, names = photos.table["path"], photos.table["name"]
    exact = {name: row for column in (names, paths) for row, name in enumerate(column)}
    by_file: dict[str, set[int]] = {}
    for row, (path, name) in enumerate(zip(paths, names, strict=True)):
        for spelling in (path, name):
            by_file.setdefault(PurePosixPath(spelling).name, set()).add(row)
    above = photos.root.resolve().parts

    def ends(row: int, parts: tuple[str, ...]) -> bool:
        """Whether a photo's path ends in these parts, which may begin above the photo folder."""
        return any(
            (*above, *PurePosixPath(spelling).parts)[-len(parts) :] == parts
            for spelling in (paths[row], names[row])
        )

    def find(path: str) -> int:
        if not path:
            raise InputError("the path is empty")
        plain = PurePosixPath(path.replace("\\", "/"))
        if plain.is_absolute() or PureWindowsPath(path).drive or path.startswith("~"):
            raise InputError(f"'{path}' is absolute; paths are relative to the photo folder")
        if ".." in plain.parts:
            raise InputError(f"'{path}' leaves the photo folder")
        # As it stands, or as the layouts read it: PetImages/Cat/1.jpg is Kaggle's cat.1.jpg.
        readings = [parse(str(plain)) for parse in LAYOUTS.values()]
        for known in (path, str(plain), *(name.path for name in readings if name)):
            if known in exact:
                return exact[known]
        rows = sorted(row for row in by_file.get(plain.name, ()) if ends(row, plain.parts))
        if not rows:
            raise InputError(f"'{path}' is not among the photos in {photos.root}")
        if len(rows) > 1:
            some = " or ".join(paths[row] for row in rows[:2])
            raise InputError(f"'{path}' fits {len(rows)} photos; write its folder too, as {some}")
        return rows[0]

    return find


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
        if table["split"][row] in HELD:
            raise InputError(
                f"The labeled photo '{path}' ({labeled.source}) is held out for "
                f"{table['split'][row]} in {photos.root}."
            )
    table.loc[~table["split"].isin(HELD), "split"] = "unlabeled"
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
    held_out = table["split"].isin(HELD)
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

    def call() -> None:
        photos = split_photos(scan(options.photos))
        labeled = draw_labeled(photos, options.count, options.seed)
        labeled.write(options.out)
        counts = Counter(labeled.classes[label] for label in labeled.labels)
        words = ", ".join(f"{count} {name}" for name, count in counts.items())
        print(f"{options.out}: {words} of {len(photos)} photos ({photos.layout})")
        if photos.unused:
            print(f"unused in {photos.root}: {counted(photos.unused)}")

    return run_command(call)


if __name__ == "__main__":
    sys.exit(main())
