"""Check JPEG files and decode them with torchvision.

What every loader does with the files that people really have: grayscale and CMYK become RGB, the
EXIF orientation is applied, progressive files are read; damage that libjpeg can bridge is shown as
libjpeg shows it. A file that is empty, no JPEG whatever its name says (PNG, GIF, text), cut off
before its end, not of 8 bits a sample or beyond `MAX_PIXELS` has a fault and is not decoded.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2.functional import resize

from ssgan_core.photos.files import PhotoCollection

PixelRange = tuple[float, float] | None

MAX_PIXELS = 100_000_000  # a header can claim 4 billion, and the decoder would allocate them
AHEAD = 2  # batches decoded in advance

START, END, SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
BARE = {0x00, 0x01, 0xFF, *range(0xD0, 0xD9)}  # bytes after 0xFF that begin no segment
OTHERS = {
    b"\x89PNG": "a PNG",
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"RIFF": "a WebP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
}


class Decoded(NamedTuple):
    """A batch: rows (B,) and images (B, 3, S, S); (row, reason) of those with a fault."""

    rows: np.ndarray
    images: Tensor
    faults: list[tuple[int, str]]


def jpeg_fault(data: bytes) -> str | None:
    """What keeps a file from being decoded, as the end of a sentence; None where it looks sound.

    Walks the headers only (microseconds a file), so that both loaders refuse the same files and
    neither library prints about them.
    """
    if not data:
        return "is empty"
    if not data.startswith(START):
        kind = next((name for magic, name in OTHERS.items() if data.startswith(magic)), None)
        return f"is {kind} file, not a JPEG" if kind else "is not a JPEG"
    at, frame = 2, b""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            return "is cut off within its headers"
        marker = data[at + 1]
        if marker in BARE:
            at += 1
            continue
        if marker == SCAN:
            break
        if marker == END[1]:
            return "ends before its picture begins"
        length = int.from_bytes(data[at + 2 : at + 4])
        if marker in FRAMES:
            frame = data[at + 4 : at + 10]
        at += 2 + length
    if len(frame) < 6:
        return "has no picture header"
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    if frame[0] != 8:
        return f"has {frame[0]} bits a sample; 8 are accepted"
    if not 0 < height * width <= MAX_PIXELS:
        return f"claims {width}×{height} pixels; 1 to {MAX_PIXELS:,} are accepted"
    if data.rfind(END, at) < 0:
        return "is cut off within its picture"
    return None


def decode_photo(data: bytes, size: int) -> Tensor:
    """One JPEG file as uint8 (3, size, size), squeezed to a square with antialiasing.

    Raises RuntimeError where libjpeg gives up.
    """
    return resize(decode_jpeg_rgb(data), [size, size], antialias=True)


def decode_jpeg_rgb(data: bytes) -> Tensor:
    """One JPEG file as uint8 (3, H, W), upright. Raises RuntimeError where libjpeg gives up."""
    encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return decode_jpeg(encoded, mode=ImageReadMode.RGB, apply_exif_orientation=True)


def to_range(images: Tensor, pixel_range: PixelRange) -> Tensor:
    """uint8 images as float32 from `lo` (black) to `hi` (white); unchanged where that is None."""
    if pixel_range is None:
        return images
    low, high = pixel_range
    return images.float().mul_((high - low) / 255).add_(low)


def decode_rows(photos: PhotoCollection, rows: np.ndarray, size: int) -> Decoded:
    """Some photos, one after the other, as uint8."""
    kept, images, faults = [], [], []
    for row in rows.tolist():
        data = photos.read(row)
        fault = jpeg_fault(data)
        if fault is None:
            try:
                images.append(decode_photo(data, size))
                kept.append(row)
            except RuntimeError as error:
                fault = f"cannot be decoded ({str(error).rsplit(', ', 1)[-1]})"
        if fault is not None:
            faults.append((row, fault))
    stack = torch.stack(images) if images else torch.empty(0, 3, size, size, dtype=torch.uint8)
    return Decoded(np.array(kept, dtype=np.int64), stack, faults)


def torchvision_batches(
    photos: PhotoCollection,
    batches: Iterable[np.ndarray],
    size: int,
    pixel_range: PixelRange = None,
    threads: int | None = None,
) -> Iterator[Decoded]:
    """Decode batches of rows in threads, `AHEAD` of them in advance."""
    threads = threads or cores()
    waiting: deque[list[Future]] = deque()

    def collect() -> Decoded:
        parts = [future.result() for future in waiting.popleft()]
        images = torch.cat([part.images for part in parts])
        rows = np.concatenate([part.rows for part in parts])
        faults = [fault for part in parts for fault in part.faults]
        return Decoded(rows, to_range(images, pixel_range), faults)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for rows in batches:
                parts = np.array_split(rows, threads)
                waiting.append([pool.submit(decode_rows, photos, part, size) for part in parts])
                if len(waiting) > AHEAD:
                    yield collect()
            while waiting:
                yield collect()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what libjpeg and DALI write about damaged files straight to file descriptor 2.

    Python exceptions are not affected; a progress bar shown meanwhile must go to standard output.
    """
    saved = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(sink)
        os.close(saved)
