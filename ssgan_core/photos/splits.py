"""Split photographs into training, validation and test by a seeded hash of their names."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

from ssgan_core.errors import InputError
from ssgan_core.photos.files import UNKNOWN, PhotoCollection

FULL_SIZE = 10_000  # from here on, as many are held out as in the article
HELD_OUT = 1_000
HELD = ["val", "test"]  # the splits that training never sees
KEPT = 2  # photos of each class that training keeps at least; the last guarantee below needs two


def seeded_hash(seed: int | str, name: str) -> str:
    """A number drawn for `name` that no other name influences: SHA-256 of `seed/name`, in hex."""
    return hashlib.sha256(f"{seed}/".encode() + os.fsencode(name)).hexdigest()


def held_out_size(n: int) -> int:
    """How many of `n` photos validation gets, and how many test gets."""
    return HELD_OUT if n >= FULL_SIZE else n // 10


def shares(n: int, classes: int) -> list[int]:
    """`n` shared over the classes as evenly as it goes; the first ones get what is left over."""
    return [n // classes + (label < n % classes) for label in range(classes)]


def split_photos(photos: PhotoCollection, seed: int = 0) -> PhotoCollection:
    """Give every photo a split: `val`, `test` or `train`.

    With N photos of known class, 1,000 are for validation and 1,000 for the test where N is at
    least 10,000, and N // 10 each below; both are balanced over the classes. In each class the
    photos are put in the order of a seeded hash of their names: the first are for validation,
    the last for the test, the rest for training. Photos of unknown class are for training, and
    so are all photos that have a byte-identical twin in the collection: nothing that was seen in
    training is tested, and nothing that is tested contradicts itself. A collection that came with
    splits of its own keeps them, but for photos of validation or test whose twin lies in another
    split: they go to training; validation or test, where it has none, is drawn from `train`. Where
    no class is known, all photos are for training until a labeled set says otherwise.

    What is guaranteed when a file is added:

    - Never does a photo move between validation and test.
    - While the size held out stays the same (always, from 10,000 photos on) and the file has no
      twin, no photo enters validation or test but the new one, and at most one leaves.
    - A file whose twin was held out draws that one into training; the next in the order replaces
      it. With every tenth file below 10,000, validation and test each gain one photo.

    The sets of labeled photos that the book ships belong to seed 0.

    Raises InputError where a class has too few photos to be in all three.
    """
    table = photos.table
    split = table["split"].replace("", "train")
    training = "unlabeled" if (split == "unlabeled").any() else "train"
    elsewhere = split.groupby(table["digest"]).transform("nunique") > 1
    split[elsewhere & split.isin(HELD)] = training
    known = table["label"] != UNKNOWN
    free = known & (split == "train") & ~table["digest"].duplicated(keep=False)
    wanted = [name for name in HELD if photos.classes and not (split == name).any()]
    size = held_out_size(int(known.sum()))
    for label, share in enumerate(shares(size, len(photos.classes)) if wanted else ()):
        rows = table.index[free & (table["label"] == label)]
        if share == 0 or len(rows) < 2 * share + KEPT:
            raise InputError(
                f"The photo folder '{photos.root}' has {len(rows)} distinct photos of class "
                f"'{photos.classes[label]}' among {known.sum()}; at least "
                f"{2 * max(share, 1) + KEPT} of each class (of at least "
                f"{10 * len(photos.classes)}) are needed to hold out {max(share, 1)} for "
                f"validation and as many for the test."
            )
        ordered = sorted(rows, key=lambda row: seeded_hash(seed, table["path"][row]))
        for name, part in zip(HELD, (ordered[:share], ordered[-share:]), strict=True):
            if name in wanted:
                split[part] = name
    return replace(photos, table=table.assign(split=split))


def require_splits(photos: PhotoCollection) -> None:
    """Raises InputError for a collection that no `split_photos` has given splits."""
    if not (photos.table["split"] != "").all():
        raise InputError(
            f"The photos in {photos.root} have no splits yet: call split_photos first."
        )
