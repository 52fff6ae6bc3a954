"""Find the photographs in a folder, whichever way their publisher laid them out."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

import numpy as np
import pandas as pd

from ssgan_core.errors import InputError
from ssgan_core.process import cores

UNKNOWN = -1  # the label of a photo whose class nobody has said

EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif")
JPEG = r"\.(?i:jpe?g|jpe|jfif)"
DEPTH = 2  # the deepest layouts are PetImages/Cat/1.jpg and train/cat/1.jpg
CHUNK = 256  # photos hashed per task
TOO_DEEP, BROKEN = f"folder more than {DEPTH} down", "broken link"  # kinds of what is not used
MOST_LINKS = 40  # followed one after the other, as Linux does
ARTICLE_SPLITS = {"labeled": "labeled", "train": "unlabeled", "val": "val", "test": "test"}
SPLIT_FOLDERS = {"train": "train", "training": "train", "val": "val", "valid": "val",
                 "validation": "val", "test": "test", "testing": "test"}  # fmt: skip
NOT_CLASSES = {*SPLIT_FOLDERS, "test1", "labeled", "unlabeled", "images", "petimages"}
BREEDS = (  # of Oxford-IIIT Pet: a telephone's IMG_1.jpg is no cat
    "Abyssinian|Bengal|Birman|Bombay|British_Shorthair|Egyptian_Mau|Maine_Coon|Persian|"
    "Ragdoll|Russian_Blue|Siamese|Sphynx|american_bulldog|american_pit_bull_terrier|"
    "basset_hound|beagle|boxer|chihuahua|english_cocker_spaniel|english_setter|"
    "german_shorthaired|great_pyrenees|havanese|japanese_chin|keeshond|leonberger|"
    "miniature_pinscher|newfoundland|pomeranian|pug|saint_bernard|samoyed|"
    "scottish_terrier|shiba_inu|staffordshire_bull_terrier|wheaten_terrier|"
    "yorkshire_terrier"
)


@dataclass(frozen=True, eq=False)
class PhotoCollection:
    """Photographs, their classes and their splits, one row each; the bytes stay on the disk.

    `table` has a RangeIndex and the columns `path` (unique name, `/` between its parts, the same
    whether the photos lie flat, under `train/` or in tar shards), `label` (index into `classes`,
    -1 where the class is unknown), `split` (empty until `split_photos`, then `train`, `val` or
    `test`; after `choose_labeled`: `labeled`, `unlabeled`, `val` or `test`) and `digest` (SHA-256
    of the file's bytes, hex). The others say where the bytes are: `name` (the photo's path on the
    disk or in its shard), `file`, `offset`, `size`. `classes` is empty until a labeled set names
    some, where all photos are of unknown class. `unused` counts what else lies there, by kind:
    `.png` and other endings, broken links, folders too deep, names that are no UTF-8. `moved`
    counts the photos that a labeled set moved into or out of `val` or `test`, by the split that
    they left.
    """

    root: Path
    table: pd.DataFrame
    classes: tuple[str, ...]
    layout: str
    unused: Mapping[str, int] = field(default_factory=dict)
    moved: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def _places(self) -> list[tuple[str, int, int]]:
        columns = (self.table[name].tolist() for name in ("file", "offset", "size"))
        return list(zip(*columns, strict=True))

    def read(self, row: int) -> bytes:
        """The bytes of the JPEG file of one row. Raises InputError if it changed since the scan."""
        file, offset, size = self._places[row]
        try:
            with open(file, "rb") as stream:
                stream.seek(offset)
                data = stream.read(size)
        except OSError as error:
            raise InputError(f"{file} can no longer be read: {error.strerror}.") from error
        if len(data) != size:
            raise InputError(
                f"{self.table.path[row]} in {self.root} has changed since it was scanned: "
                f"{len(data)} bytes of {size} are left."
            )
        return data

    def rows(self, split: str) -> np.ndarray:
        """Row numbers of one split, int64, ascending."""
        return np.flatnonzero(self.table["split"].to_numpy() == split).astype(np.int64)

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over the sorted names and digests: the same photos give the same checksum."""
        total = hashlib.sha256()
        for path, digest in sorted(zip(self.table["path"], self.table["digest"], strict=True)):
            total.update(os.fsencode(path) + b"\0" + digest.encode() + b"\n")
        return total.hexdigest()


class _Found(NamedTuple):
    """A photo before anything is known about it: its path from the root, and where it lies."""

    name: str
    file: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Its bytes."""
        with open(self.file, "rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


class _Named(NamedTuple):
    """What a layout makes of a path; a class of None is unknown."""

    path: str
    label: str | None
    split: str = ""


def class_name(word: str) -> str:
    """The class that a folder or a label names, in lower case; `Cats` are of the class `cat`."""
    return {"cats": "cat", "dogs": "dog"}.get(word.lower(), word.lower())


def _kaggle(name: str) -> _Named | None:
    if match := re.fullmatch(rf"(?:train/)?((cat|dog)\.\d+{JPEG})", name):
        return _Named(match[1], match[2])
    if match := re.fullmatch(rf"test1?/(\d+{JPEG})", name):
        return _Named(f"test/{match[1]}", None)
    return None


def _article(name: str) -> _Named | None:
    if match := re.fullmatch(r"(labeled|train|val|test)/x?(cat|dog)_[^/]*", name):
        return _Named(name, match[2], ARTICLE_SPLITS[match[1]])
    return None


def _microsoft(name: str) -> _Named | None:
    # Named as Kaggle names the same photos, so that labeled sets and splits serve both.
    if match := re.fullmatch(rf"(?:PetImages/)?(Cat|Dog)/((?:0|[1-9]\d*){JPEG})", name):
        return _Named(f"{match[1].lower()}.{match[2]}", match[1].lower())
    return None


def _oxford(name: str) -> _Named | None:
    match = re.fullmatch(rf"(?:oxford-iiit-pet/)?(?:images/)?(({BREEDS})_\d+{JPEG})", name)
    if match:
        return _Named(match[1], "cat" if match[2][0].isupper() else "dog")
    return None


def _class_folders(name: str) -> _Named | None:
    folder, _, file = name.partition("/")
    if file and "/" not in file and folder.lower() not in NOT_CLASSES:
        return _Named(name, class_name(folder))
    return None


def _split_folders(name: str) -> _Named | None:
    split, *inside = name.split("/")
    if len(inside) == 2 and split.lower() in SPLIT_FOLDERS:
        return _Named(name, class_name(inside[0]), SPLIT_FOLDERS[split.lower()])
    return None


FOLDERS = "one folder a class (cat/… dog/…)"
LAYOUTS: dict[str, Callable[[str], _Named | None]] = {
    "Kaggle (cat.N.jpg, dog.N.jpg)": _kaggle,
    "Microsoft (PetImages/Cat/N.jpg)": _microsoft,
    "the article's (labeled/ train/ val/ test/ with cat_… and dog_…)": _article,
    "Oxford-IIIT Pet (images/Breed_N.jpg)": _oxford,
    FOLDERS: _class_folders,
    "a folder a split, in it one a class (train/cat/… validation/cat/…)": _split_folders,
}
UNSORTED = "photos of unknown class"


def scan(root: str | Path) -> PhotoCollection:
    """Find, name and hash the JPEG photographs under `root`; nothing is decoded or unpacked.

    Six layouts are told apart by their names: Kaggle's (`cat.N.jpg`, flat or under `train/`;
    numbered photos in `test/` or `test1/` join with an unknown class), Microsoft's
    (`PetImages/Cat/N.jpg`), the article's own (`labeled/ train/ val/ test/`, whose splits are
    kept), Oxford-IIIT Pet (`images/Abyssinian_1.jpg`: its README says that a capital first letter
    is a cat), one folder a class, and these inside `train/`, `validation/` or `test/` (splits that
    are kept). Photos of which none fits any of these, and those of a single folder, are of unknown
    class. `.tar` shards in `root` count as the files they hold.

    Rows are sorted by `path`, so that the same photos get the same rows however they are stored.
    Raises InputError for a folder that is missing, empty or of one class, for photos that do not
    fit the layout of the others, for two of one name, and for a shard that cannot be read.
    """
    folder = Path(root).expanduser()
    if not str(root).strip() or not folder.exists():
        raise InputError(f"The photo folder '{root}' does not exist.")
    if not folder.is_dir():
        raise InputError(f"The photo folder '{root}' is a file; a folder is accepted.")
    try:
        unused: Counter[str] = Counter()
        found = list(_walk(folder, PurePosixPath(), 0, unused))
        if not found:
            raise InputError(
                f"The photo folder '{root}' holds no JPEG photograph ({', '.join(EXTENSIONS)}; in "
                f"it, in its .tar shards or up to {DEPTH} folders down). What lies there: "
                f"{counted(unused) or 'nothing'}."
            )
        layout, named = _recognise(found, root)
        digests = _hash(found)
    except OSError as error:
        raise InputError(f"{error.filename or root} cannot be read: {error.strerror}.") from error
    classes = tuple(sorted({name.label for name in named if name.label is not None}))
    if len(classes) == 1:
        raise InputError(
            f"The photo folder '{root}' holds only photos of '{classes[0]}'; at least two classes "
            f"are needed."
        )
    table = pd.DataFrame(
        {
            "path": [name.path for name in named],
            "label": [classes.index(name.label) if name.label else UNKNOWN for name in named],
            "split": [name.split for name in named],
            "digest": digests,
            **{column: [getattr(photo, column) for photo in found] for column in _Found._fields},
        }
    )
    table = table.sort_values("path", ignore_index=True, kind="stable")
    if table["path"].duplicated().any():
        path = table["path"][table["path"].duplicated()].iloc[0]
        first, second = table[table["path"] == path].iloc[:2].itertuples()
        raise InputError(
            f"The photo folder '{root}' holds '{path}' twice: as {first.name} in {first.file} and "
            f"as {second.name} in {second.file}; each photo is accepted once."
        )
    return PhotoCollection(folder, table, classes, layout, dict(unused))


def counted(unused: Mapping[str, int]) -> str:
    """Counts by kind in words: `30 .heic, 1 broken link`."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(unused.items()))


def _recognise(found: list[_Found], root: str | Path) -> tuple[str, list[_Named]]:
    """The layout that explains every photo; raises InputError where it explains only some."""
    readings = {title: [parse(photo.name) for photo in found] for title, parse in LAYOUTS.items()}
    if len({name.label for name in readings[FOLDERS] if name}) < 2:  # tells no classes apart
        del readings[FOLDERS]
    title = max(readings, key=lambda title: sum(name is not None for name in readings[title]))
    named = readings[title]
    if not any(named):
        return UNSORTED, [_Named(photo.name, None) for photo in found]
    if None in named:
        raise InputError(
            f"'{found[named.index(None)].name}' in '{root}' does not fit the layout of the other "
            f"photos there, {title}; move it away, or use one of {'; '.join(LAYOUTS)}; "
            f"photos that all fit none of these are of unknown class."
        )
    if LAYOUTS[title] is _article:
        missing = set(ARTICLE_SPLITS.values()) - {name.split for name in named}
        if missing:
            folders = [folder for folder, split in ARTICLE_SPLITS.items() if split in missing]
            raise InputError(
                f"The photo folder '{root}' is laid out as the article's but has no photo in "
                f"{' or '.join(folders)}/; labeled/, train/, val/ and test/ are all needed."
            )
    return title, named


def _is_litter(path: PurePosixPath) -> bool:
    """Whether an operating system left this behind: .DS_Store, ._cat.1.jpg, Thumbs.db …"""
    return path.name == "Thumbs.db" or any(p.startswith(".") or p == "__MACOSX" for p in path.parts)


def find_photos(
    place: Path, endings: Sequence[str], unused: Counter[str]
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The photos with these endings in a folder, as `scan` finds them, or in a tar file: the name
    from there on and what reads the bytes. What else lies there is counted in `unused`."""
    if place.is_dir():
        found = _walk(place, PurePosixPath(), 0, unused, endings)
    else:
        found = _members(str(place), unused, endings)
    for photo in found:
        yield photo.name, photo.read


def _walk(
    folder: Path,
    inside: PurePosixPath,
    depth: int,
    unused: Counter[str],
    endings: Sequence[str] = EXTENSIONS,
) -> Iterator[_Found]:
    """Every photo and shard member below a folder; what else there is gets counted."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = inside / entry.name
            if _is_litter(path):
                continue
            if entry.is_dir():
                if depth < DEPTH:
                    yield from _walk(Path(entry.path), path, depth + 1, unused, endings)
                else:
                    unused[TOO_DEEP] += 1
            elif not entry.is_file():
                unused[BROKEN if entry.is_symlink() else "special file"] += 1
            elif depth == 0 and entry.name.lower().endswith(".tar"):
                yield from _members(entry.path, unused, endings)
            elif _is_photo(path, unused, endings):
                yield _Found(str(path), entry.path, 0, entry.stat().st_size)


def _is_photo(path: PurePosixPath, unused: Counter[str], endings: Sequence[str]) -> bool:
    """Whether a file is taken for a photo by its name; another one is counted."""
    if path.suffix.lower() not in endings:
        unused[path.suffix.lower() or "without an ending"] += 1
        return False
    try:
        str(path).encode()
    except UnicodeEncodeError:  # no table, no page and no CSV could hold it
        unused["with a name that is no UTF-8"] += 1
        return False
    return True


def _members(
    shard: str, unused: Counter[str], endings: Sequence[str] = EXTENSIONS
) -> Iterator[_Found]:
    """The photos in a tar file, as if it were unpacked; a damaged one is refused whole."""
    try:
        with open(shard, "rb") as stream:
            members = [member for archive in _archives(stream) for member in archive]
        if any(member.issparse() for member in members):
            raise tarfile.ReadError("a member is sparse")
    except tarfile.TarError as error:
        raise InputError(
            f"{shard} is not a complete, uncompressed tar archive ({error})."
        ) from error
    by_name = {str(PurePosixPath(member.name)): member for member in members}
    deep = set()
    for member in members:
        path = PurePosixPath(member.name)
        if member.isdir() or _is_litter(path):
            continue
        if len(path.parts) > DEPTH + 1:
            deep.add(path.parts[: DEPTH + 1])
            continue
        for _ in range(MOST_LINKS):
            if member is None or not (member.islnk() or member.issym()):
                break
            start = "" if member.islnk() else os.path.dirname(member.name)
            member = by_name.get(os.path.normpath(os.path.join(start, member.linkname)))
        if member is None or not member.isreg():
            unused[BROKEN] += 1
        elif _is_photo(path, unused, endings):
            yield _Found(str(path), shard, member.offset_data, member.size)
    if deep:
        unused[TOO_DEEP] += len(deep)


def _archives(stream: BinaryIO) -> Iterator[list[tarfile.TarInfo]]:
    """The members of each archive in a file: `cat 1.tar 2.tar` puts one behind the other.

    Raises tarfile.TarError where one is damaged or has no end mark: tarfile alone takes both for
    the end, and what follows would be lost without a word.
    """
    start, size = 0, os.fstat(stream.fileno()).st_size
    while True:
        stream.seek(start)
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            yield archive.getmembers()
            start = archive.offset
        stream.seek(start)
        if start >= size:
            raise tarfile.ReadError("no end mark")
        if any(stream.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError(f"a damaged header at byte {start:,}")
        start += tarfile.BLOCKSIZE
        while block := stream.read(tarfile.BLOCKSIZE):
            if any(block):
                break
            start += tarfile.BLOCKSIZE
        else:
            return


def _hash(found: list[_Found]) -> list[str]:
    """SHA-256 of each file, in threads (hashing and reading release the interpreter lock)."""

    def digests(photos: list[_Found]) -> list[str]:
        out: list[str] = []
        stream = None
        try:
            for photo in photos:
                if stream is None or stream.name != photo.file:
                    if stream is not None:
                        stream.close()
                    stream = open(photo.file, "rb")  # noqa: SIM115 - kept open along a shard
                stream.seek(photo.offset)
                out.append(hashlib.sha256(stream.read(photo.size)).hexdigest())
        finally:
            if stream is not None:
                stream.close()
        return out

    chunks = [found[start : start + CHUNK] for start in range(0, len(found), CHUNK)]
    with ThreadPoolExecutor(max_workers=min(16, 2 * cores())) as pool:
        return [digest for chunk in pool.map(digests, chunks) for digest in chunk]
