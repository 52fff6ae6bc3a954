"""Images a second of the ways to load photos.

Every way to load delivers the same: shuffled batches of 64 as uint8, where training takes place (to
float is a step on the device). Each runs in a process of its own, one after the other, with equally
many threads or worker processes, over the same photos; after an epoch to warm up, the best counts.
"""

from __future__ import annotations

import resource
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL.Image import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from ssgan_core.bench.folders import folder_loader, pil_stored, unpack
from ssgan_core.bench.timing import race
from ssgan_core.errors import InputError
from ssgan_core.paths import resolve_path
from ssgan_core.photos.decode import quiet, read_header, stored_rgb, to_range
from ssgan_core.photos.files import PhotoCollection, scan
from ssgan_core.photos.loader import Loader, PhotoStream, has_dali
from ssgan_core.photos.photoset import decode_all
from ssgan_core.process import end_with_parent

BATCH = 64
SIZES = (64, 224)
PIXEL_RANGE = (-1.0, 1.0)  # of the stage "to float"
BASE = "threads, torchvision"  # what the column of ratios divides by

FOLDER_PIL, FOLDER_TORCHVISION = "ImageFolder, PIL", "ImageFolder, torchvision"
DALI, DALI_CPU, DALI_FILES = "DALI", "DALI on the CPU", "DALI, its file reader"
CACHE = "cache in memory"
SHARED = "/dev/shm"


class SharedMemoryError(InputError):
    """Worker processes have too little shared memory for so many of them or such images."""


def ways() -> list[str]:
    """The ways to load that work on this machine, the usual one first."""
    dali = [DALI, DALI_FILES] if has_dali() else []
    if dali and torch.cuda.is_available():
        dali.insert(0, DALI_CPU)
    return [FOLDER_PIL, FOLDER_TORCHVISION, BASE, *dali, CACHE]


def sample(photos: PhotoCollection, count: int | None, seed: int = 0) -> PhotoCollection:
    """So many photos of a collection, drawn at random; all of them, shuffled, without a count."""
    rows = np.random.default_rng(seed).permutation(len(photos))[:count]
    return replace(photos, table=photos.table.iloc[rows].reset_index(drop=True))


def _epochs(
    way: str, photos: PhotoCollection, folder: Path, size: int, threads: int
) -> Iterable[Sequence]:
    """What gives an epoch of batches each time it is looped over."""
    if way in (FOLDER_PIL, FOLDER_TORCHVISION):
        opener = "pil" if way == FOLDER_PIL else "torchvision"
        return folder_loader(folder, size, BATCH, opener, workers=threads, shuffle=True)
    if way == DALI_FILES:
        from ssgan_core.bench.dali_files import file_loader

        return file_loader(folder, size, BATCH, threads=threads, shuffle=True)
    if way == CACHE:
        source = decode_all(photos, size)
    else:
        backend = {BASE: "torchvision", DALI: "dali", DALI_CPU: "dali-cpu"}[way]
        source = PhotoStream(photos, size, backend, threads)
    rows = np.arange(len(source.targets))
    return Loader(source, rows, BATCH, shuffle=True)


def _images(batch: Sequence) -> Tensor:
    if isinstance(batch[0], dict):  # of DALI's iterator, channels last
        return batch[0]["images"].permute(0, 3, 1, 2)
    return batch[0]


def measure(
    way: str, photos: PhotoCollection, folder: Path, size: int, threads: int, repeats: int
) -> dict[str, object]:
    """Images a second of the best epoch. `folder` holds the same photos, unpacked.

    Photos that cannot be decoded are an InputError, too little shared memory is a
    SharedMemoryError.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with quiet(), torch_threads(threads):
        loader = _epochs(way, photos, folder, size, threads)

        def epoch() -> None:
            for batch in loader:
                _images(batch).to(device)

        try:
            seconds = race({way: epoch}, repeats, 1)[way]
        except RuntimeError as error:
            if "shared memory" not in str(error):  # as all of PyTorch's words for it have it
                raise
            space = shutil.disk_usage(SHARED).total / 2**20
            raise SharedMemoryError(
                f"{way} at {size} px: {threads} worker processes hand over batches in {SHARED}, "
                f"whose {space:,.0f} MB are too few; fewer --threads, or a larger one (a "
                "container's --shm-size)"
            ) from error
    return {"loader": way, "size": size, "images a second": round(len(photos) / seconds)}


def _measure_alone(way: str, *args) -> dict[str, object]:
    """`measure`, and the peak memory of the process that it has to itself."""
    result = measure(way, *args)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if way in (FOLDER_PIL, FOLDER_TORCHVISION):
        peak += args[-2] * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return result | {"peak memory (MB)": round(peak / 1024)}


def with_ratios(measured: Iterable[dict[str, object]]) -> pd.DataFrame:
    """The measurements as a table, with the speed against our torchvision threads and the usual."""
    frame = pd.DataFrame(measured)
    for title, way in (("× torchvision", BASE), ("× ImageFolder", FOLDER_PIL)):
        base = frame.loc[frame["loader"] == way].set_index("size")["images a second"]
        ratio = frame["images a second"] / frame["size"].map(base)
        frame.insert(frame.columns.get_loc("images a second") + 1, title, ratio.round(2))
    return frame


def rates(
    root: str,
    sizes: Sequence[int],
    count: int | None,
    threads: int,
    repeats: int,
    report: Callable[[str], None],
) -> pd.DataFrame:
    """`measure` every way to load at every size, in processes of their own; one row each.

    A row without numbers is one for which shared memory was too small, as `report` is told.
    """
    photos = sample(scan(resolve_path(root)), count)
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        unpack(photos, np.arange(len(photos)), Path(folder))
        for size in sizes:
            for way in ways():
                with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
                    args = (way, photos, Path(folder), size, threads, repeats)
                    try:
                        measured.append(pool.submit(_measure_alone, *args).result())
                    except SharedMemoryError as error:
                        report(f"left out: {error}")
                        measured.append({"loader": way, "size": size})
    return with_ratios(measured)


def stages(photos: PhotoCollection, size: int, repeats: int = 3) -> pd.DataFrame:
    """Milliseconds that one photo spends in each stage, in one thread: a column a library.

    DALI's stages are differences between pipelines that stop after each of them, on the CPU.
    """
    with torch_threads(1), quiet():
        seconds = {
            "PIL": _own_stages(photos, size, repeats, pil_stored),
            "torchvision": _own_stages(photos, size, repeats, stored_rgb),
        }
        if has_dali():
            shared = {name: seconds["torchvision"][name] for name in ("read", "check")}
            seconds["DALI"] = shared | _dali_stages(photos, size, repeats)
    return 1000 * pd.DataFrame(seconds) / len(photos)


def _own_stages(
    photos: PhotoCollection, size: int, repeats: int, decode: Callable
) -> dict[str, float]:
    """Seconds of each stage for all photos, each on what the one before made of them."""

    def shrink(image: Tensor | Image) -> Tensor | Image:
        return resize(image, [size, size], antialias=True)

    def to_float(image: Tensor | Image) -> Tensor:
        return to_range(image if isinstance(image, Tensor) else pil_to_tensor(image), PIXEL_RANGE)

    data = [photos.read(row) for row in range(len(photos))]
    images = [decode(item) for item in data]
    work = {
        "read": (photos.read, range(len(photos))),
        "check": (read_header, data),
        "decode": (decode, data),
        "resize": (shrink, images),
        "to float": (to_float, [shrink(image) for image in images]),
    }
    calls = {
        name: lambda step=step, items=items: [step(item) for item in items]
        for name, (step, items) in work.items()
    }
    return race(calls, repeats, 1)


def _dali_stages(photos: PhotoCollection, size: int, repeats: int) -> dict[str, float]:
    """Seconds of each stage of a batch of all photos."""
    from nvidia.dali import fn, pipeline_def, types

    from ssgan_core.photos import dali

    data = [np.frombuffer(photos.read(row), dtype=np.uint8) for row in range(len(photos))]
    steps = {
        "decode": lambda encoded: dali.decode(encoded, "cpu"),
        "resize": lambda images: dali.resize(images, size),
        "to float": lambda images: dali.normalize(images, PIXEL_RANGE),
    }

    @pipeline_def(batch_size=len(data), num_threads=1, device_id=None, prefetch_queue_depth=1)
    def first(count: int):
        result = fn.external_source(lambda: data, batch=True, dtype=types.UINT8, ndim=1)
        for step in list(steps.values())[:count]:
            result = step(result)
        return result

    upto = race({name: first(1 + k).run for k, name in enumerate(steps)}, repeats, 1)
    return dict(zip(steps, np.diff(list(upto.values()), prepend=0).clip(min=0), strict=True))


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """PyTorch's own operations in so many threads, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
