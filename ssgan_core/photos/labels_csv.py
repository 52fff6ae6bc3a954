"""Labeled sets as people write them: read a CSV, find its photos, say what is wrong with a line."""

from __future__ import annotations

import csv
import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from ssgan_core.errors import InputError
from ssgan_core.photos.files import LAYOUTS, UNKNOWN, PhotoCollection, class_name
from ssgan_core.photos.labels import LabeledSet
from ssgan_core.photos.splits import require_splits

HEADER = ["path", "label"]
SPLITS = {"": "labeled", "labeled": "labeled", "val": "val", "test": "test"}
SEPARATORS = ",;\t"
LEAST = 2  # labeled photos of each class
IMBALANCE = 4  # times as many photos of one class as of another before it is worth a warning


def read_labeled(file: str | Path, photos: PhotoCollection) -> LabeledSet:
    """Read a labeled set from CSV (`path,label`, perhaps `split`) and check it against the photos.

    A path is the photo's name in the collection or in another layout of it (`PetImages/Cat/1.jpg`
    is `cat.1.jpg`), or the end of its path, the file name alone too, where that is unique; a label
    is a class name in any case, and where no class is known any name. A photo of unknown class may
    be labeled, and one of validation or test. A split is `labeled`, which none means too, `val` or
    `test`. Fields are apart by comma, semicolon or tab; the text is UTF-8 or UTF-16.

    Raises InputError that names file and line for every missing photo, duplicate (also a
    byte-identical one), unknown class or split, label that contradicts the known one, and path
    that leaves the root. Also for a wrong header, an empty file, and a class with fewer than two
    labeled photos.
    """
    labeled, faults = check_labeled(file, photos)
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise InputError(f"The labeled set {file} has {count}: {'; '.join(faults)}.")
    if short := lacking(labeled):
        raise InputError(f"The labeled set {file} {short}.")
    return labeled


def check_labeled(
    file: str | Path, photos: PhotoCollection, look: Callable[[int], None] = lambda row: None
) -> tuple[LabeledSet, list[str]]:
    """The rows of a CSV that `read_labeled` accepts, as a set; what is wrong with others, by line.

    `look` may find fault with a photo too: it takes its row, and raises InputError. Raises one
    where the file holds no rows under a header.
    """
    require_splits(photos)
    find = _finder(photos)
    table, classes = photos.table, photos.classes
    named: dict[int, tuple[str, str]] = {}  # class and split by row
    digests: dict[str, int] = {}  # to the line they were first seen in
    faults: list[str] = []
    header, lines = _read_rows(file)
    for line, fields in lines:
        try:
            if len(fields) != len(header):
                raise InputError(
                    f"{len(fields)} fields where {','.join(header)} are expected; one that holds "
                    f"a separator is written in quotes"
                )
            path, word, part = (dict(zip(header, fields, strict=True)).get(name, "")
                                for name in (*HEADER, "split"))  # fmt: skip
            row = find(path)
            name, split = class_name(word), SPLITS.get(part.lower())
            if classes and name not in classes:
                raise InputError(f"'{word}' is not a class (accepted: {', '.join(classes)})")
            if not name:
                raise InputError("the label is empty")
            if not split:
                raise InputError(f"'{part}' is no split (accepted: labeled or nothing, val, test)")
            known, digest = table["label"][row], table["digest"][row]
            if known != UNKNOWN and classes[known] != name:
                raise InputError(f"'{path}' is labeled {word} but is a {classes[known]}")
            if digest in digests:
                twin = "a duplicate of" if row in named else "byte-identical to"
                raise InputError(f"'{path}' is {twin} line {digests[digest]}")
            look(row)
            named[row], digests[digest] = (name, split), line
        except InputError as fault:
            faults.append(f"line {line}: {fault}")
    rows = np.array(sorted(named), dtype=np.int64)
    words, splits = zip(*(named[row] for row in rows), strict=True) if named else ((), ())
    classes = classes or tuple(sorted(set(words)))
    labels = np.array([classes.index(word) for word in words], dtype=np.int64)
    labeled = LabeledSet(rows, labels, tuple(table["path"].iloc[rows]), splits, classes, str(file))
    warnings = []
    if unused := [name for name in header if name not in ("", *HEADER, "split")]:
        warnings.append(f"The labeled set {file} has columns without use: {', '.join(unused)}.")
    counts = class_counts(labeled)
    if max(counts.values(), default=0) > IMBALANCE * min(counts.values(), default=0):
        words = ", ".join(f"{count} {name}" for name, count in counts.items())
        warnings.append(f"The labeled set {file} is unbalanced: {words}.")
    return replace(labeled, warnings=tuple(warnings)), faults


def class_counts(labeled: LabeledSet, split: str = "labeled") -> dict[str, int]:
    """How many photos of each class a labeled set has for a split, in the order of the classes."""
    found = Counter(
        label for label, part in zip(labeled.labels, labeled.splits, strict=True) if part == split
    )
    return {name: found[label] for label, name in enumerate(labeled.classes)}


def lacking(labeled: LabeledSet) -> str:
    """What a set lacks to be learned from, the end of a sentence; empty where it lacks nothing."""
    few = [f"{n} of class '{name}'" for name, n in class_counts(labeled).items() if n < LEAST]
    if few:
        return f"has only {' and '.join(few)}; each class needs at least two to learn from"
    if len(labeled.classes) < 2:
        return f"names no class but {' '.join(labeled.classes) or 'none'}; two or more are needed"
    return ""


def _read_rows(file: str | Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, in lower case, and the rows that are not blank, with their line numbers."""
    try:
        data = Path(file).read_bytes()
        wide = data.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except OSError as error:
        raise InputError(f"The labeled set {file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"The labeled set {file} is not CSV in UTF-8 ({error}); save it as 'CSV UTF-8'."
        ) from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(
        StringIO(text, newline=""),
        delimiter=max(SEPARATORS, key=first.count),
        skipinitialspace=True,
        strict=True,
    )
    rows, line = [], 1
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if any(fields):
                rows.append((line, fields))
            line = reader.line_num + 1  # a quoted field may go on in the next line
    except csv.Error as error:
        raise InputError(
            f"The labeled set {file} is not CSV from line {line} on ({error})."
        ) from error
    if not rows:
        raise InputError(f"The labeled set {file} is empty; 'path,label' and rows are expected.")
    header = [field.lower() for field in rows[0][1]]
    if [header.count(name) for name in HEADER] != [1, 1] or header.count("split") > 1:
        raise InputError(
            f"The labeled set {file} begins with '{','.join(rows[0][1])}'; the header "
            f"'path,label' is expected, or 'path,label,split'."
        )
    if len(rows) == 1:
        raise InputError(f"The labeled set {file} has a header but no row.")
    return header, rows[1:]


def _finder(photos: PhotoCollection) -> Callable[[str], int]:
    """Turns a path that a person wrote into the row of a photo; InputError where it fits none."""
    paths, names = photos.table["path"], photos.table["name"]
    exact = {name: row for column in (names, paths) for row, name in enumerate(column)}
    by_file: dict[str, set[int]] = {}
    for row, (path, name) in enumerate(zip(paths, names, strict=True)):
        for spelling in (path, name):
            by_file.setdefault(PurePosixPath(spelling).name, set()).add(row)
    above = photos.root.resolve().parts
    roots = [place.as_posix() for place in (photos.root.absolute(), photos.root.resolve())]

    def ends(row: int, parts: tuple[str, ...]) -> bool:
        """Whether a photo's path ends in these parts, which may begin above the photo folder."""
        return any(
            (*above, *PurePosixPath(spelling).parts)[-len(parts) :] == parts
            for spelling in (paths[row], names[row])
        )

    def find(path: str) -> int:
        if not path:
            raise InputError("the path is empty")
        plain = PurePosixPath(os.path.expanduser(path).replace("\\", "/"))
        if plain.is_absolute() or PureWindowsPath(path).drive:
            root = next((root for root in roots if plain.is_relative_to(root)), None)
            if root is None:
                raise InputError(f"'{path}' is absolute and not below {photos.root}; "
                                 f"paths are relative to the photo folder")  # fmt: skip
            plain = plain.relative_to(root)
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
