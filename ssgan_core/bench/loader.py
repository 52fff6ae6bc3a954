"""Measure the loaders on your photos: `python -m ssgan_core.bench.loader PHOTOS --size 64 224`.

Every way to load delivers the same: shuffled batches of 64 as uint8, where training takes place (to
float is a step on the device). Each runs in a process of its own, one after the other, with equally
many threads or worker processes, over the same photos; after an epoch to warm up, the best of
`--repeats` epochs counts.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from ssgan_core.bench.folders import folder_loader, pil_rgb, unpack
from ssgan_core.errors import InputError
from ssgan_core.paths import resolve_path
from ssgan_core.photos.decode import cores, decode_jpeg_rgb, jpeg_fault, quiet, to_range
from ssgan_core.photos.files import PhotoCollection, scan
from ssgan_core.photos.loader import Loader, PhotoStream, choose_backend, decode_all, has_dali

BATCH = 64
SIZES = (64, 224)
PIXEL_RANGE = (-1.0, 1.0)  # of the stage "to float"
BASE = "threads, torchvision"  # what the column of ratios divides by

FOLDER_PIL, FOLDER_TORCHVISION = "ImageFolder, PIL", "ImageFolder, torchvision"
DALI, DALI_CPU, DALI_FILES = "DALI", "DALI on the CPU", "DALI, its file reader"
CACHE = "cache in memory"


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
    rows = np.arange(len(source.labels))
    return Loader(source, rows, BATCH, shuffle=True)


def _images(batch: Sequence) -> Tensor:
    if isinstance(batch[0], dict):  # of DALI's iterator, channels last
        return batch[0]["images"].permute(0, 3, 1, 2)
    return batch[0]


def measure(
    way: str, photos: PhotoCollection, folder: Path, size: int, threads: int, repeats: int
) -> dict[str, object]:
    """Images a second of the best epoch. `folder` holds the same photos, unpacked."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    best, count = float("inf"), 0
    with quiet(), torch_threads(threads):
        loader = _epochs(way, photos, folder, size, threads)
        for number in range(1 + repeats):
            began, count = time.perf_counter(), 0
            for batch in loader:
                count += len(_images(batch).to(device))
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number > 0:  # the first epoch warms up
                best = min(best, time.perf_counter() - began)
        del loader  # ends its workers
    return {"loader": way, "size": size, "images a second": round(count / best)}


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


def table(
    root: str,
    sizes: Sequence[int] = SIZES,
    count: int | None = None,
    threads: int | None = None,
    repeats: int = 2,
) -> pd.DataFrame:
    """Measure every way to load at every size, in processes of their own; one row each.

    Photos that cannot be decoded are an error.
    """
    photos, threads = sample(scan(resolve_path(root)), count), threads or cores()
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        unpack(photos, np.arange(len(photos)), Path(folder))
        for size in sizes:
            for way in ways():
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    args = (way, photos, Path(folder), size, threads, repeats)
                    measured.append(pool.submit(_measure_alone, *args).result())
    return with_ratios(measured)


def stages(photos: PhotoCollection, size: int, repeats: int = 3) -> pd.DataFrame:
    """Milliseconds that one photo spends in each stage, in one thread: a column a library.

    DALI's stages are differences between pipelines that stop after each of them, on the CPU.
    """
    with torch_threads(1), quiet():
        columns = {
            "PIL": _own_stages(photos, size, repeats, pil_rgb),
            "torchvision": _own_stages(photos, size, repeats, decode_jpeg_rgb),
        }
        if has_dali():
            shared = {name: columns["torchvision"][name] for name in ("read", "check")}
            columns["DALI"] = shared | _dali_stages(photos, size, repeats)
    return pd.DataFrame(columns)


def _own_stages(
    photos: PhotoCollection, size: int, repeats: int, decode: Callable
) -> dict[str, float]:
    """The stages called one after the other, each on what the last one made of every photo."""
    rows = range(len(photos))
    times = {}
    times["read"], data = _best(photos.read, rows, repeats)
    times["check"], _ = _best(jpeg_fault, data, repeats)
    times["decode"], images = _best(decode, data, repeats)
    times["resize"], images = _best(
        lambda image: resize(image, [size, size], antialias=True), images, repeats
    )
    times["to float"], _ = _best(
        lambda image: to_range(image if isinstance(image, Tensor) else pil_to_tensor(image),
                               PIXEL_RANGE), images, repeats,
    )  # fmt: skip
    return times


def _dali_stages(photos: PhotoCollection, size: int, repeats: int) -> dict[str, float]:
    from nvidia.dali import fn, pipeline_def, types

    from ssgan_core.photos import dali

    data = [np.frombuffer(photos.read(row), dtype=np.uint8) for row in range(len(photos))]
    steps = {
        "decode": lambda encoded: dali.decode(encoded, "cpu"),
        "resize": lambda images: dali.resize(images, size),
        "to float": lambda images: dali.normalize(images, PIXEL_RANGE),
    }

    @pipeline_def(batch_size=len(data), num_threads=1, device_id=None, prefetch_queue_depth=1)
    def some(count: int):
        result = fn.external_source(lambda: data, batch=True, dtype=types.UINT8, ndim=1)
        for step in list(steps.values())[:count]:
            result = step(result)
        return result

    totals = [0.0]
    for count in range(1, len(steps) + 1):
        pipeline = some(count)
        pipeline.run()
        totals.append(_best(lambda _, run=pipeline.run: run(), [None], repeats)[0] / len(data))
    return dict(zip(steps, np.diff(totals).clip(min=0), strict=True))


def _best(step: Callable, inputs: Iterable, repeats: int) -> tuple[float, list]:
    """Milliseconds an input of the best pass, and the outputs."""
    best, outputs = float("inf"), []
    for _ in range(repeats):
        began = time.perf_counter()
        outputs = [step(item) for item in inputs]
        best = min(best, time.perf_counter() - began)
    return 1000 * best / len(outputs), outputs


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """PyTorch's own operations in so many threads, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m ssgan_core.bench.loader",
        description="Measure the loaders on a folder of photos.",
    )
    parser.add_argument("photos", help="folder of photos")
    parser.add_argument(
        "--size", type=int, nargs="+", default=SIZES, help="side of the images (64 224)"
    )
    parser.add_argument("--count", type=int, help="photos an epoch (all)")
    parser.add_argument("--threads", type=int, help="threads or workers of each (all cores)")
    parser.add_argument("--repeats", type=int, default=2, help="epochs, the best counts (2)")
    args = parser.parse_args()
    try:
        frame = table(args.photos, args.size, args.count, args.threads, args.repeats)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.photos}, {args.threads or cores()} threads; {choose_backend()[1]}")
    print(frame.to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
