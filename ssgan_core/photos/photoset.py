"""Photographs in memory: their images, and what is known of them, from decoding to evaluation."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ssgan_core.errors import InputError
from ssgan_core.paths import resolve_path
from ssgan_core.pets.collection import drawn_pets
from ssgan_core.photos.decode import PixelRange, quiet, read_header, to_range
from ssgan_core.photos.files import PhotoCollection, counted, scan
from ssgan_core.photos.loader import choose_backend, decoder_of, targets_of
from ssgan_core.photos.splits import HELD, split_photos
from ssgan_core.settings import Settings

CORRUPT_SHARE, CORRUPT_FEW = 0.01, 3  # more than either is no accident but the wrong folder
DECODE_BATCH = 128
LOOKED_AT = 500  # photos whose sides a page tells


class ImageSettings(Settings):
    """Where the images come from, and their size."""

    photos: str | None = Field(None, description="folder of photos; None: drawn pets")
    size: int = Field(None, ge=16, le=224, description="side of an image in pixels")
    pets: int = Field(None, ge=60, description="pets to draw where no photos are given")


@dataclass(frozen=True, eq=False, kw_only=True)
class PhotoSet(PhotoCollection):
    """A photo collection in memory: images uint8 (N, 3, S, S), row for row with `table`.

    `corrupt` names the photos that were left out, (path, reason); `backend` is what decoded them,
    `reason` why. It is a source for loaders: `Loader(photo_set, rows, …)`.
    """

    images: Tensor
    corrupt: tuple[tuple[str, str], ...] = ()
    backend: str = ""
    reason: str = ""
    name: str = ""

    @cached_property
    def targets(self) -> Tensor:
        """Classes of all rows, int64 (N,), -1 where unknown, on the device of the images."""
        return targets_of(self).to(self.images.device)

    def labels(self, split: str) -> np.ndarray:
        """True classes of a split, in the order of its rows."""
        return self.table["label"].to_numpy()[self.rows(split)]

    def on(self, device: torch.device) -> Self:
        """The same with the images in this device's memory: no step waits for a copy of its own."""
        return replace(self, images=self.images.to(device))

    def decode(self, batches: Iterable[np.ndarray], pixel_range: PixelRange) -> Iterator[Tensor]:
        """Images of each batch of rows, in order."""
        for rows in batches:
            index = torch.from_numpy(rows).to(self.images.device)
            yield to_range(self.images[index], pixel_range)

    @property
    def split_checksum(self) -> str:
        """Short hash of which photos lie in which split, and how they are labeled."""
        columns = self.table[["path", "label", "split"]].to_csv()
        return hashlib.sha256(f"{self.classes} {columns}".encode()).hexdigest()[:12]

    @property
    def summary(self) -> dict[str, Any]:
        """What `metrics.json` tells of the data."""
        return {
            "name": self.name,
            "layout": self.layout,
            "photos": len(self),
            "corrupt": len(self.corrupt),
            "unused": dict(self.unused),
            "moved": dict(self.moved),
            "loader": self.backend,
            "loader_reason": self.reason,
            "checksum": self.checksum,
        }


def load_photos(settings: ImageSettings, report: Callable[[str], None]) -> PhotoSet:
    """Find, decode and split the photographs that the settings name.

    Raises InputError for a folder without usable photos, or with too many that `decode_all` cannot
    decode.
    """
    root = photo_folder(settings)
    photos = decode_all(scan(root), settings.size)
    report(f"{len(photos)} photos, {photos.layout}")
    report(photos.reason)
    for path, reason in photos.corrupt:
        report(f"skipped {path}: {reason}")
    if photos.unused and settings.photos:
        report(f"unused in {root}: {counted(photos.unused)}")
    split = split_photos(photos)
    moved = photos.table["split"].isin(HELD) & ~split.table["split"].isin(HELD)
    if moved.any():
        report(f"{moved.sum()} photos of val or test have a twin in training and are not tested")
    return replace(split, name="photographs" if settings.photos else "drawn pets")


def photo_folder(settings: ImageSettings) -> Path:
    """Where the photographs lie that the settings name; pets are drawn on first use."""
    if settings.photos:
        return resolve_path(settings.photos)
    return drawn_pets(settings.pets, size=max(64, settings.size))


def decode_all(photos: PhotoCollection, size: int, backend: str = "auto") -> PhotoSet:
    """Decode every photo once to uint8 (N, 3, size, size) on the CPU.

    Files that are corrupt or no JPEG are left out and listed. Raises InputError when more than 1%
    of the files, and more than three, are corrupt.
    """
    if size < 1:
        raise InputError(f"size is {size}; 1 pixel or more is accepted.")
    backend, reason = choose_backend(backend)
    total = len(photos)
    images = torch.empty(total, 3, size, size, dtype=torch.uint8)
    kept, corrupt = [], []
    every = np.split(np.arange(total), range(DECODE_BATCH, total, DECODE_BATCH))
    with quiet():
        for decoded in decoder_of(backend)(photos, every, size):
            images[len(kept) : len(kept) + len(decoded.rows)] = decoded.images
            kept += decoded.rows.tolist()
            corrupt += [(photos.table["path"][row], fault) for row, fault in decoded.faults]
    if len(corrupt) > max(CORRUPT_FEW, CORRUPT_SHARE * total) or len(corrupt) == total:
        first = "; ".join(f"'{path}' {reason}" for path, reason in corrupt[:3])
        raise InputError(
            f"{len(corrupt)} of the {total} files in {photos.root} are no JPEG photographs that "
            f"can be decoded; up to {CORRUPT_SHARE:.0%}, and always {CORRUPT_FEW}, are accepted. "
            f"The first: {first}."
        )
    table = photos.table.iloc[kept].reset_index(drop=True)
    return PhotoSet(
        photos.root, table, photos.classes, photos.layout, photos.unused,
        images=images[: len(kept)], corrupt=tuple(corrupt), backend=backend, reason=reason,
    )  # fmt: skip


def sides_in_words(photos: PhotoCollection, size: int) -> str:
    """How large the photos are, by up to 500 of them spread over all, and what becomes of them.

    "shorter sides of 180 px, enlarged to 224 px, which adds pixels and no detail"
    """
    rows = np.unique(np.linspace(0, len(photos) - 1, min(len(photos), LOOKED_AT)).astype(int))
    headers = [read_header(photos.read(row)) for row in rows]
    sides = np.array([min(found.width, found.height) for found in headers if not found.fault])
    least, most, smaller = sides.min(), sides.max(), (sides < size).mean()
    told = (
        f"shorter sides of {least} px"
        if least == most
        else f"shorter sides of {least} to {most} px"
    )
    if smaller:
        which = "" if smaller == 1 else f"{smaller:.0%} of them "
        return f"{told}, {which}enlarged to {size} px, which adds pixels and no detail"
    return f"{told}, the size of an image" if most == size else f"{told}, reduced to {size} px"
