"""Measure the loaders on your photos: `python -m ssgan_core.data.benchmark PHOTOS --size 64`.

Each way to load runs in a process of its own, one after the other, with equally many threads (or
worker processes), over the same photos in the same shuffled order; the best of `--repeats` epochs
counts. "PIL + DataLoader" is what most PyTorch code does: PIL decodes in worker processes.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2.functional import pil_to_tensor

from ssgan_core.data.decode import cores, quiet
from ssgan_core.data.loaders import Loader, PhotoStream, choose_backend, decode_all
from ssgan_core.data.photos import PhotoCollection, scan
from ssgan_core.errors import InputError

BATCH = 64


class PilPhotos(Dataset):
    """Photos as a PyTorch data set that decodes with PIL, to compare with."""

    def __init__(self, photos: PhotoCollection, rows: np.ndarray, size: int):
        self.photos, self.rows, self.size = photos, rows, size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        image = Image.open(io.BytesIO(self.photos.read(int(self.rows[index])))).convert("RGB")
        return pil_to_tensor(image.resize((self.size, self.size), Image.Resampling.BILINEAR))


def _epoch(way: str, photos: PhotoCollection, rows: np.ndarray, size: int, threads: int):
    """What makes epochs of batches, of any kind."""
    if way == "PIL + DataLoader":
        data = PilPhotos(photos, rows, size)
        return DataLoader(
            data, BATCH, shuffle=True, num_workers=threads, multiprocessing_context="fork"
        )
    if way == "cache in memory":
        source = decode_all(photos, size)
        rows = np.arange(len(source.photos))[: len(rows)]
    else:
        source = PhotoStream(photos, size, way, threads)
    return Loader(source, rows, BATCH, shuffle=True)


def measure(
    way: str, photos: PhotoCollection, rows: np.ndarray, size: int, threads: int, repeats: int
) -> dict[str, object]:
    """Images a second of the best epoch, CPU time an image, and peak memory of this process.

    CPU time suffers less than images a second when other programs use the cores, but it does.
    """
    best, busy = float("inf"), 0.0
    with quiet():
        loader: Iterable = _epoch(way, photos, rows, size, threads)
        for _ in range(repeats):
            began, spent = time.perf_counter(), sum(os.times()[:4])
            for _batch in loader:
                pass
            seconds = time.perf_counter() - began
            if seconds < best:
                best, busy = seconds, sum(os.times()[:4]) - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if way == "PIL + DataLoader":
        peak += threads * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {
        "loader": way,
        "images a second": round(len(rows) / best),
        "CPU ms an image": round(1000 * busy / len(rows), 3),
        "peak memory (MB)": round(peak / 1024),
    }


def table(
    root: str, size: int, count: int | None = None, threads: int | None = None, repeats: int = 2
) -> pd.DataFrame:
    """Measure every way to load; one row each. Photos that cannot be decoded are an error."""
    photos, threads = scan(root), threads or cores()
    rows = np.random.default_rng(0).permutation(len(photos))[:count]
    ways = ["PIL + DataLoader", "torchvision"]
    if choose_backend()[0] == "dali":
        ways.append("dali")
    ways.append("cache in memory")
    measured = []
    for way in ways:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            measured.append(
                pool.submit(measure, way, photos, rows, size, threads, repeats).result()
            )
    frame = pd.DataFrame(measured)
    base = frame.loc[frame["loader"] == "torchvision", "images a second"].item()
    frame.insert(2, "against torchvision", (frame["images a second"] / base).round(2))
    return frame


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m ssgan_core.data.benchmark",
        description="Measure the loaders on a folder of photos.",
    )
    parser.add_argument("photos", help="folder of photos")
    parser.add_argument("--size", type=int, default=64, help="side of the images (64)")
    parser.add_argument("--count", type=int, help="photos an epoch (all)")
    parser.add_argument("--threads", type=int, help="threads or workers of each (all cores)")
    parser.add_argument("--repeats", type=int, default=2, help="epochs, the best counts (2)")
    args = parser.parse_args()
    try:
        frame = table(args.photos, args.size, args.count, args.threads, args.repeats)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    threads = args.threads or cores()
    print(f"{args.photos} to {args.size} pixels, {threads} threads; {choose_backend()[1]}")
    print(frame.to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
