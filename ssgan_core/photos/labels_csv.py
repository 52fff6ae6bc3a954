"""A labeled set and its CSV file: writing it, its rows, and which photo a path in it means."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from ssgan_core.errors import InputError
from ssgan_core.paths import whole_file
from ssgan_core.photos.files import PhotoCollection

HEADER = ["path", "label"]


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
        file = Path(file)
        names = [self.classes[label] for label in self.labels]
        try:
            with (
                whole_file(file) as partial,
                open(partial, "w", newline="", encoding="utf-8") as out,
            ):
                writer = csv.writer(out, lineterminator="\n")
                writer.writerow(HEADER)
                writer.writerows(sorted(zip(self.paths, names, strict=True), key=lambda r: r[::-1]))
        except OSError as error:
            raise InputError(f"{file} cannot be written: {error.strerror}.") from error


class PhotoFinder:
    """Turns a path that a person wrote into the row of a photo.

    A path is the photo's name in the collection, or its path on the disk relative to the
    collection's root, or its file name alone where that is unique. Raises InputError otherwise.
    """

    def __init__(self, photos: PhotoCollection) -> None:
        self.root = photos.root
        self.paths = photos.table["path"].tolist()
        names = photos.table["name"].tolist()
        self.exact = {name: row for row, name in enumerate(names)}
        self.exact |= {path: row for row, path in enumerate(self.paths)}
        self.by_file: dict[str, list[int]] = {}
        for row, (path, name) in enumerate(zip(self.paths, names, strict=True)):
            for file in {PurePosixPath(path).name, PurePosixPath(name).name}:
                self.by_file.setdefault(file, []).append(row)

    def __call__(self, path: str) -> int:
        if not path:
            raise InputError("the path is empty")
        plain = PurePosixPath(path.replace("\\", "/"))
        if plain.is_absolute() or PureWindowsPath(path).drive or path.startswith("~"):
            raise InputError(f"'{path}' is absolute; paths are relative to the photo folder")
        if ".." in plain.parts:
            raise InputError(f"'{path}' leaves the photo folder")
        if (row := self.exact.get(str(plain))) is not None:
            return row
        rows = self.by_file.get(plain.name, [])
        if not rows:
            raise InputError(f"'{path}' is not among the photos in {self.root}")
        if len(rows) > 1:
            some = " or ".join(self.paths[row] for row in rows[:2])
            raise InputError(f"'{path}' fits {len(rows)} photos; write its folder too, as {some}")
        return rows[0]


def read_rows(file: Path) -> list[tuple[int, list[str]]]:
    """The rows after the header `path,label`, with their line numbers; blank lines are left out."""
    try:
        with open(file, newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            lines = [(reader.line_num, row) for row in reader if any(f.strip() for f in row)]
    except OSError as error:
        raise InputError(f"The labeled set {file} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The labeled set {file} is not CSV in UTF-8 ({error}).") from error
    if not lines:
        raise InputError(f"The labeled set {file} is empty; 'path,label' and rows are expected.")
    if [field.strip().lower() for field in lines[0][1]] != HEADER:
        raise InputError(
            f"The labeled set {file} begins with '{','.join(lines[0][1])}'; the header "
            f"'path,label' is expected."
        )
    if len(lines) == 1:
        raise InputError(f"The labeled set {file} has a header but no row.")
    return lines[1:]
