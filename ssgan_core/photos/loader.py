"""Batches of labeled and unlabeled images, decoded once into memory or while training runs.

A `Loader` joins a schedule (which rows come in which batch: a pure function of the seed) with a
source (what turns rows into images): `Cached` and `DecodedPhotos` hold images in memory,
`PhotoStream` decodes them again each time. All three are used alike.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ssgan_core.errors import InputError
from ssgan_core.photos.decode import Decoded, quiet, to_range, torchvision_batches
from ssgan_core.photos.files import PhotoCollection
from ssgan_core.photos.schedule import Schedule

BACKENDS = ("auto", "dali", "dali-cpu", "torchvision")
CORRUPT_SHARE = 0.01  # more than this is no accident but the wrong folder
DECODE_BATCH = 128

PixelRange = tuple[float, float] | None


class Batch(NamedTuple):
    """images (B, 3, S, S), uint8 or float32 in the loader's pixel range; labels int64 (B,), -1
    where unknown, on the device of the images; rows int64 (B,), on the CPU."""

    images: Tensor
    labels: Tensor
    rows: Tensor


class Source(Protocol):
    """What a loader draws from: the label of every row, and images for batches of rows."""

    labels: Tensor

    def decode(self, batches: Iterable[np.ndarray], pixel_range: PixelRange) -> Iterator[Tensor]:
        """Images of each batch of rows, in order; sources that decode work ahead."""


class Cached:
    """Images in memory, on the CPU or a GPU: uint8 (N, 3, S, S) and labels int64 (N,)."""

    def __init__(self, images: Tensor, labels: Tensor):
        self.images = images
        self.labels = labels.to(images.device)

    def decode(self, batches: Iterable[np.ndarray], pixel_range: PixelRange) -> Iterator[Tensor]:
        for rows in batches:
            index = torch.from_numpy(rows).to(self.images.device)
            yield to_range(self.images[index], pixel_range)


class PhotoStream:
    """Photos decoded again for each batch, ahead of the training step that will ask for them.

    Raises InputError at the first photo that cannot be decoded: pass `decode_all(...).photos` to
    leave those out.
    """

    def __init__(
        self, photos: PhotoCollection, size: int, backend: str = "auto", threads: int | None = None
    ):
        self.photos, self.size, self.threads = photos, size, threads
        self.backend, self.reason = choose_backend(backend)
        self.labels = _labels(photos)

    def decode(self, batches: Iterable[np.ndarray], pixel_range: PixelRange) -> Iterator[Tensor]:
        decoder = _decoder(self.backend)
        for decoded in decoder(self.photos, batches, self.size, pixel_range, self.threads):
            if decoded.faults:
                row, reason = decoded.faults[0]
                raise InputError(f"'{self.photos.table['path'][row]}' {reason}.")
            yield decoded.images


@dataclass(frozen=True, eq=False)
class DecodedPhotos:
    """A photo collection in memory, as a source for loaders: `Loader(decoded, rows, …)`.

    images: uint8 (N, 3, S, S); photos: the collection without the corrupt files, row i being
    images[i]; corrupt: (path, reason) of those left out; backend and reason as `choose_backend`
    says; seconds: what decoding took.
    """

    images: Tensor
    photos: PhotoCollection
    corrupt: list[tuple[str, str]]
    backend: str
    reason: str
    seconds: float

    @cached_property
    def labels(self) -> Tensor:
        return _labels(self.photos).to(self.images.device)

    def decode(self, batches: Iterable[np.ndarray], pixel_range: PixelRange) -> Iterator[Tensor]:
        return Cached(self.images, self.labels).decode(batches, pixel_range)


class Loader:
    """Batches of some rows of a source.

    `for batch in loader` gives one epoch whose last batch is partial, each row once; the first
    such loop is epoch 0, the next epoch 1, …; `loader.epoch(n)` names the epoch. `stream(step)`
    is endless and gives full batches from that training step on; it depends on nothing but the
    arguments, so a run resumed at step t sees what it would have seen. `pixel_range` (lo, hi)
    makes images float32 with black at lo and white at hi; without it they stay uint8. Several
    processes share the rows by `shard_id` and `num_shards`, as `Schedule` says.
    """

    def __init__(
        self,
        source: Source,
        rows: np.ndarray,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        pixel_range: PixelRange = None,
        shard_id: int = 0,
        num_shards: int = 1,
    ):
        self.source, self.pixel_range = source, pixel_range
        self.schedule = Schedule(rows, batch_size, shuffle, seed, shard_id, num_shards)
        first, last = self.schedule.rows.min(), self.schedule.rows.max()
        if first < 0 or last >= len(source.labels):
            raise InputError(
                f"A loader was given rows {first} to {last}; "
                f"its source has 0 to {len(source.labels) - 1}."
            )
        self._next_epoch = 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self.schedule)

    def __iter__(self) -> Iterator[Batch]:
        self._next_epoch += 1
        return self.epoch(self._next_epoch - 1)

    def epoch(self, number: int) -> Iterator[Batch]:
        return self._batches(self.schedule.epoch(number))

    def stream(self, start_step: int = 0) -> Iterator[Batch]:
        return self._batches(self.schedule.batch(step) for step in itertools.count(start_step))

    def _batches(self, batches: Iterator[np.ndarray]) -> Iterator[Batch]:
        wanted, given = itertools.tee(batches)
        for images, rows in zip(self.source.decode(wanted, self.pixel_range), given, strict=True):
            index = torch.from_numpy(rows)
            labels = self.source.labels[index.to(self.source.labels.device)]
            yield Batch(images, labels.to(images.device), index)


def choose_backend(backend: str = "auto") -> tuple[str, str]:
    """The decoder to use, "dali", "dali-cpu" or "torchvision", and in a line why.

    "auto" takes DALI where it decodes on a GPU, and torchvision everywhere else: on a CPU its
    threads are faster (`python -m ssgan_core.bench loader` measures it). Naming one insists on
    it: "dali" decodes on the GPU or, without one, on the CPU; "dali-cpu" leaves the GPU alone.
    Raises InputError for another name, and for DALI where it does not work.
    """
    if backend not in BACKENDS:
        raise InputError(f"backend is '{backend}'; accepted are {', '.join(BACKENDS)}.")
    if backend == "torchvision":
        return backend, "torchvision decodes on the CPU, as asked"
    if backend == "auto" and not torch.cuda.is_available():
        return "torchvision", "torchvision decodes on the CPU: there is no CUDA GPU"
    device, what = _dali()
    if backend == "auto":
        if device == "mixed":
            return "dali", f"{what} decodes on the GPU"
        problem = what if device is None else f"{what} cannot use the GPU; is its driver too old?"
        return "torchvision", f"torchvision decodes on the CPU: {problem}"
    if device is None:
        raise InputError(f"backend is '{backend}', but {what}; 'torchvision' works everywhere.")
    on_gpu = backend == "dali" and device == "mixed"
    return backend, f"{what} decodes on the {'GPU' if on_gpu else 'CPU'}, as asked"


def has_dali() -> bool:
    """Whether DALI is installed and works, on the GPU or on the CPU."""
    return _dali()[0] is not None


def _dali() -> tuple[str | None, str]:
    """Where DALI decodes here, "mixed" (GPU) or "cpu", and its name; or None, and what is wrong."""
    try:
        from ssgan_core.photos import dali

        return dali.working_device(), f"DALI {dali.VERSION}"
    except ImportError as error:
        return None, f"DALI is not installed ({error})"
    except Exception as error:  # DALI fails in its own ways: missing libraries, old drivers
        return None, f"DALI does not work here ({str(error).splitlines()[0]})"


def _decoder(backend: str) -> Callable[..., Iterator[Decoded]]:
    if backend == "torchvision":
        return torchvision_batches
    from ssgan_core.photos.dali import dali_batches

    return partial(dali_batches, device="cpu") if backend == "dali-cpu" else dali_batches


def decode_all(
    photos: PhotoCollection,
    size: int,
    backend: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> DecodedPhotos:
    """Decode every photo once to uint8 (N, 3, size, size) on the CPU.

    Files that are corrupt or no JPEG are left out and listed. `progress(done, total)` is called
    after each batch; what it shows must go to standard output (file descriptor 2 is silenced).
    Raises InputError when more than 1% of the files are corrupt.
    """
    if size < 1:
        raise InputError(f"size is {size}; 1 pixel or more is accepted.")
    backend, reason = choose_backend(backend)
    began = time.perf_counter()
    total = len(photos)
    images = torch.empty(total, 3, size, size, dtype=torch.uint8)
    kept: list[np.ndarray] = []
    faults: list[tuple[int, str]] = []
    filled = 0
    every = (
        np.arange(start, min(start + DECODE_BATCH, total), dtype=np.int64)
        for start in range(0, total, DECODE_BATCH)
    )
    with quiet():
        for decoded in _decoder(backend)(photos, every, size):
            images[filled : filled + len(decoded.rows)] = decoded.images
            filled += len(decoded.rows)
            kept.append(decoded.rows)
            faults += decoded.faults
            if progress is not None:
                progress(filled + len(faults), total)
    corrupt = [(photos.table["path"][row], reason) for row, reason in faults]
    if len(corrupt) > CORRUPT_SHARE * total:
        first = "; ".join(f"'{path}' {reason}" for path, reason in corrupt[:3])
        raise InputError(
            f"{len(corrupt)} of the {total} files in {photos.root} are no JPEG photographs that "
            f"can be decoded, and up to {CORRUPT_SHARE:.0%} are accepted; the first: {first}."
        )
    if corrupt:
        table = photos.table.iloc[np.concatenate(kept)].reset_index(drop=True)
        photos, images = replace(photos, table=table), images[:filled]
    seconds = time.perf_counter() - began
    return DecodedPhotos(images, photos, corrupt, backend, reason, seconds)


def _labels(photos: PhotoCollection) -> Tensor:
    return torch.from_numpy(photos.table["label"].to_numpy(dtype=np.int64, copy=True))
