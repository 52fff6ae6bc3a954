"""Batches of labeled and unlabeled images, from memory or decoded while training runs.

A `Loader` joins a `Schedule` (which rows come in which batch: a pure function of the seed) with a
source (what turns rows into images): a `PhotoSet` holds images in memory, a `PhotoStream` decodes
them again each time. Of several processes each draws the whole batch and takes its `share`.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from ssgan_core.errors import InputError
from ssgan_core.photos.decode import Decoded, PixelRange, torchvision_batches
from ssgan_core.photos.files import PhotoCollection

BACKENDS = ("auto", "dali", "dali-cpu", "torchvision")


class Batch(NamedTuple):
    """images (B, 3, S, S), uint8 or float32 in the loader's pixel range; labels int64 (B,), -1
    where unknown, on the device of the images; rows int64 (B,), on the CPU."""

    images: Tensor
    labels: Tensor
    rows: Tensor


class Source(Protocol):
    """What a loader draws from: the class of every row, and images for batches of rows."""

    targets: Tensor

    def decode(self, batches: Iterable[np.ndarray], pixel_range: PixelRange) -> Iterator[Tensor]:
        """Images of each batch of rows, in order; sources that decode work ahead."""


class Schedule:
    """Which rows come in which batch, as a pure function of the arguments here and the position.

    An epoch is a permutation of the rows seeded by (seed, epoch), or the rows in their order
    without `shuffle`. `epoch(n)` cuts it into batches, the last one partial. `batch(step)` is
    for training: epochs laid end to end and cut into full batches, so that every row comes once
    an epoch and no batch is short; with fewer rows than `batch_size` every batch is all of them.

    Raises InputError for no rows, or a batch size below 1.
    """

    def __init__(self, rows: np.ndarray, batch_size: int, shuffle: bool, seed: int):
        self.rows = np.asarray(rows, dtype=np.int64)
        if self.rows.ndim != 1 or not len(self.rows):
            raise InputError("A loader was given no rows; at least one is needed.")
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; 1 or more is accepted.")
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        self._order = lru_cache(maxsize=2)(self._permuted)

    def _permuted(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return self.rows
        return np.random.default_rng((self.seed, epoch)).permutation(self.rows)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def epoch(self, number: int) -> Iterator[np.ndarray]:
        order = self._order(number)
        for start in range(0, len(order), self.batch_size):
            yield order[start : start + self.batch_size]

    def batch(self, step: int) -> np.ndarray:
        width = min(self.batch_size, len(self.rows))
        epoch, start = divmod(step * width, len(self.rows))
        rows = self._order(epoch)[start : start + width]
        if len(rows) < width:
            rows = np.concatenate([rows, self._order(epoch + 1)[: width - len(rows)]])
        return rows


class Loader:
    """Batches of some rows of a source.

    `for batch in loader` gives one epoch whose last batch is partial, each row once; the first
    such loop is epoch 0, the next epoch 1, …; `loader.epoch(n)` names the epoch. `stream(step)`
    is endless and gives full batches from that training step on; it depends on nothing but the
    arguments, so a run resumed at step t sees what it would have seen. `pixel_range` (lo, hi)
    makes images float32 with black at lo and white at hi; without it they stay uint8.
    """

    def __init__(
        self,
        source: Source,
        rows: np.ndarray,
        batch_size: int,
        shuffle: bool = False,
        seed: int = 0,
        pixel_range: PixelRange = None,
    ):
        self.source, self.pixel_range = source, pixel_range
        self.schedule = Schedule(rows, batch_size, shuffle, seed)
        first, last = self.schedule.rows.min(), self.schedule.rows.max()
        if first < 0 or last >= len(source.targets):
            raise InputError(
                f"A loader was given rows {first} to {last}; "
                f"its source has 0 to {len(source.targets) - 1}."
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
            index, targets = torch.from_numpy(rows), self.source.targets
            yield Batch(images, targets[index.to(targets.device)].to(images.device), index)


class PhotoStream:
    """Photos decoded again for each batch, ahead of the training step that will ask for them.

    Raises InputError at the first photo that cannot be decoded: pass what `decode_all` returns to
    leave those out.
    """

    def __init__(
        self, photos: PhotoCollection, size: int, backend: str = "auto", threads: int | None = None
    ):
        self.photos, self.size, self.threads = photos, size, threads
        self.backend, self.reason = choose_backend(backend)
        self.targets = targets_of(photos)

    def decode(self, batches: Iterable[np.ndarray], pixel_range: PixelRange) -> Iterator[Tensor]:
        decoder = decoder_of(self.backend)
        for decoded in decoder(self.photos, batches, self.size, pixel_range, self.threads):
            if decoded.faults:
                row, reason = decoded.faults[0]
                raise InputError(f"'{self.photos.table['path'][row]}' {reason}.")
            yield decoded.images


def targets_of(photos: PhotoCollection) -> Tensor:
    """Classes of all rows, int64 (N,), -1 where unknown."""
    return torch.from_numpy(photos.table["label"].to_numpy(dtype=np.int64, copy=True))


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


def decoder_of(backend: str) -> Callable[..., Iterator[Decoded]]:
    """The function that decodes batches of rows with a backend that `choose_backend` named."""
    if backend == "torchvision":
        return torchvision_batches
    from ssgan_core.photos.dali import dali_batches

    return partial(dali_batches, device="cpu") if backend == "dali-cpu" else dali_batches
