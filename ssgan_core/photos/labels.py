"""Labeled sets: which few photographs come with a label. Draw one, write it, use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ssgan_core.errors import InputError
from ssgan_core.paths import whole_file
from ssgan_core.photos.files import UNKNOWN, PhotoCollection
from ssgan_core.photos.splits import HELD, require_splits, seeded_hash, shares


@dataclass(frozen=True, eq=False)
class LabeledSet:
    """A few photos and their labels: `rows` (n,) and `labels` (n,) int64, `paths`, `classes`.

    `splits` says what each is for: `labeled` (to learn from), `val` or `test`. `source` says in
    words where the set comes from; `warnings` what is odd but accepted.
    """

    rows: np.ndarray
    labels: np.ndarray
    paths: tuple[str, ...]
    splits: tuple[str, ...]
    classes: tuple[str, ...]
    source: str
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def write(self, file: str | Path) -> None:
        """Write the set as CSV (`path,label`), sorted by class and path; whole or not at all.

        A third column, `split`, is there where photos are for validation or test.
        """
        names = [self.classes[label] for label in self.labels]
        table = pd.DataFrame({"path": self.paths, "label": names})
        if set(self.splits) != {"labeled"}:
            table["split"] = self.splits
        table = table.sort_values(["label", "path"])
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

    Raises InputError where too few photos fit, and where no class is known.
    """
    if not photos.classes:
        raise InputError(
            f"No class is known of the photos in {photos.root}, so none can be drawn with its "
            f"label; label some in a CSV (path,label) and give that as the labeled set."
        )
    return _draw(photos, _candidates(photos), n, seed, f"{n} random photos, seed {seed}")


def choose_labeled(photos: PhotoCollection, labeled: LabeledSet) -> PhotoCollection:
    """The collection with a labeled set in the splits that this names; the rest as it was.

    What is neither held out nor labeled is `unlabeled`. The set comes first: its photos leave
    `val` or `test`, and with them their byte-identical twins, which go where the photo goes
    (`unlabeled` for a labeled one). Where it names photos for `val` or `test`, these and their
    twins are all of that split. `moved` of the collection counts them.

    The photos are found by name, so that the collection may have lost corrupt ones meanwhile.
    """
    require_splits(photos)
    table = photos.table.copy()
    rows = pd.Index(table["path"]).get_indexer(labeled.paths)
    for row, path in zip(rows, labeled.paths, strict=True):
        if row < 0:
            raise InputError(
                f"The labeled photo '{path}' ({labeled.source}) is not among the photos in "
                f"{photos.root} that could be used."
            )
    before = table["split"].where(table["split"].isin(HELD), "unlabeled")
    digests = table["digest"].iloc[rows]
    split = table["digest"].map(dict(zip(digests, labeled.splits, strict=True)))
    held = split.isin(HELD)
    label = table["digest"].map(dict(zip(digests, labeled.labels, strict=True)))
    table.loc[held, "label"] = label[held].astype(np.int64)
    split = split.replace("labeled", "unlabeled")
    split = split.fillna(before.where(~before.isin(labeled.splits), "unlabeled"))
    split.iloc[rows] = labeled.splits
    table.loc[rows, "label"] = labeled.labels
    moved = before[(before != split) & (before.isin(HELD) | split.isin(HELD))]
    return replace(
        photos,
        table=table.assign(split=split),
        classes=labeled.classes,
        moved=moved.value_counts().to_dict(),
    )


def moved_in_words(moved: Mapping[str, int]) -> str:
    """How many photos a labeled set moved, by the split that they left: `5 from test, …`."""
    return ", ".join(f"{count} from {split}" for split, count in sorted(moved.items()))


def _candidates(photos: PhotoCollection) -> np.ndarray:
    """Rows that may be drawn: of known class, in training, and with no twin that forbids it."""
    require_splits(photos)
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
    return known_set(photos, chosen, source)


def known_set(photos: PhotoCollection, rows: Sequence[int], source: str) -> LabeledSet:
    """The labeled set of these rows, each with its class, which has to be known."""
    rows = np.sort(np.asarray(rows, dtype=np.int64))
    labels = photos.table["label"].to_numpy()[rows].astype(np.int64)
    paths = tuple(photos.table["path"].iloc[rows])
    return LabeledSet(rows, labels, paths, ("labeled",) * len(rows), photos.classes, source)
