"""Check JPEG files and decode them with torchvision.

What every loader does with the files that people really have: grayscale and CMYK become RGB, the
EXIF orientation is applied, progressive files are read; damage that libjpeg can bridge is shown as
libjpeg shows it. A file that is empty, no JPEG whatever its name says (PNG, GIF, text), cut off
before its end, not of 8 bits a sample, beyond `MAX_PIXELS` or with more pixels than its bytes can
tell has a fault and is not decoded.
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

from ssgan_core.errors import InputError
from ssgan_core.photos.files import PhotoCollection
from ssgan_core.process import cores

PixelRange = tuple[float, float] | None

MAX_PIXELS = 250_000_000  # telephones have 200 million; a header can claim 4 billion
PIXELS_PER_BYTE = 1000  # no JPEG is so small (8×8 pixels of one gray take 2 bits); a claim may be
AHEAD = 2  # batches decoded in advance

START, END, SCAN = b"\xff\xd8", 0xD9, 0xDA
APP1, EXIF, ORIENTATION = 0xE1, b"Exif\0\0", 0x112
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
SEGMENT = np.ones(256, dtype=bool)  # whether a byte after 0xFF begins a segment, or ends the file
SEGMENT[[0x00, 0x01, 0xFF, *range(0xD0, 0xD9)]] = False
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


class Header(NamedTuple):
    """What the headers of a file say: its `fault`, `width` × `height` in pixels as they are
    stored, and its EXIF `orientation`, 1 (upright) to 8."""

    fault: str | None = None
    width: int = 0
    height: int = 0
    orientation: int = 1


def read_header(data: bytes) -> Header:
    """Walk the headers of a file; `fault` is the end of a sentence, None where all looks sound.

    Some ten microseconds a file, so that every decoder refuses the same files and turns the same
    ones: each library has its own idea of where EXIF lies, and prints about what it dislikes.
    """
    if not data:
        return Header("is empty")
    if not data.startswith(START):
        kind = next((name for magic, name in OTHERS.items() if data.startswith(magic)), None)
        return Header(f"is {kind} file, not a JPEG" if kind else "is not a JPEG")
    behind, frame, sequential, scans, orientation = 2, b"", False, [], 0
    for at, marker in _markers(data):
        if at < behind:  # within the last segment
            continue
        if marker == END or at + 4 > len(data):
            break
        behind = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker in FRAMES:
            if frame:  # the decoders disagree about what then is shown
                return Header("has two picture headers")
            frame, sequential = data[at + 4 : at + 10], marker <= 0xC1
        elif marker == SCAN:
            if sequential and scans[:1] == [frame[-1]]:  # the first had all components already
                return Header("has a scan too many")
            scans.append(data[at + 4])
        elif marker == APP1 and data[at + 4 : at + 10] == EXIF:
            orientation = orientation or _orientation(data[at + 10 : behind])
    else:
        marker = None
    if marker != END:
        return Header(f"is cut off within its {'picture' if scans else 'headers'}")
    if not scans:
        return Header("ends before its picture begins")
    if len(frame) < 6:
        return Header("has no picture header")
    height, width = int.from_bytes(frame[1:3]), int.from_bytes(frame[3:5])
    if frame[0] != 8:
        return Header(f"has {frame[0]} bits a sample; 8 are accepted")
    if not 0 < height * width <= MAX_PIXELS:
        return Header(f"claims {width}×{height} pixels; 1 to {MAX_PIXELS:,} are accepted")
    if height * width > PIXELS_PER_BYTE * len(data):
        return Header(f"claims {width}×{height} pixels in {len(data):,} bytes")
    return Header(None, width, height, orientation or 1)


def _markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Where a byte 0xFF is followed by one that makes it a marker, and that one."""
    numbers = np.frombuffer(data, dtype=np.uint8)
    places = np.flatnonzero(numbers[:-1] == 0xFF)
    markers = numbers[places + 1]
    real = SEGMENT[markers]
    return zip(places[real].tolist(), markers[real].tolist(), strict=True)


def _orientation(tiff: bytes) -> int:
    """The orientation in EXIF data (EXIF 2.32, section 4.6), 0 where it has none."""
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 0

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)

    table = number(4, 4)
    end = min(table + 2 + 12 * number(table, 2), len(tiff) - 11)
    for entry in range(table + 2, end, 12):
        if number(entry, 2) == ORIENTATION:
            value = number(entry + 8, {3: 2, 4: 4}.get(number(entry + 2, 2), 0))
            return value if 1 <= value <= 8 else 0
    return 0


def upright(images: Tensor, orientation: int) -> Tensor:
    """Images (…, H, W) turned and mirrored as an EXIF orientation, 1 to 8, asks for."""
    if orientation >= 5:
        images = images.mT
    flipped = [
        axis for axis, when in ((-1, (2, 3, 6, 7)), (-2, (3, 4, 7, 8))) if orientation in when
    ]
    return images.flip(flipped) if flipped else images


def decode_photo(data: bytes, size: int) -> Tensor:
    """One JPEG file as uint8 (3, size, size), squeezed to a square with antialiasing.

    Raises InputError as `decode_jpeg_rgb`.
    """
    from torchvision.transforms.v2.functional import resize

    return resize(decode_jpeg_rgb(data), [size, size], antialias=True)


def decode_jpeg_rgb(data: bytes) -> Tensor:
    """One JPEG file as uint8 (3, H, W), upright.

    Raises InputError, the end of a sentence, for a fault in its headers or where libjpeg gives up.
    """
    header = read_header(data)
    if header.fault:
        raise InputError(header.fault)
    return upright(stored_rgb(data), header.orientation)


def stored_rgb(data: bytes) -> Tensor:
    """The picture in a JPEG file whose headers are sound, uint8 (3, H, W), as it is stored.

    Raises InputError, the end of a sentence, where libjpeg gives up.
    """
    # Not for `ssgan_core.predict`, which asks about one photo: importing it takes two seconds.
    from torchvision.io import ImageReadMode, decode_jpeg

    try:
        encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return decode_jpeg(encoded, mode=ImageReadMode.RGB)
    except RuntimeError as error:
        raise InputError(f"cannot be decoded ({str(error).rsplit(', ', 1)[-1]})") from error


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
        try:
            images.append(decode_photo(data, size))
            kept.append(row)
        except InputError as fault:
            faults.append((row, str(fault)))
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
