"""Decode photos with NVIDIA DALI: on the GPU where one works, else in its threads on the CPU.

The pixels are torchvision's, but for rounding and for the border, where DALI repeats the edge
under its filter and torchvision renormalizes the filter: at 32 to 224 pixels the mean difference
is below 0.5 of 255 levels, 99.9% of all values are within 16, and further than 2 pixels from the
border every value is within 2.

Importing this module needs the package `nvidia-dali-cuda120`, which exists for Linux only.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import nvidia.dali
import torch
from nvidia.dali import fn, pipeline_def, types
from nvidia.dali.data_node import DataNode
from PIL import Image

from ssgan_core.photos.decode import (
    AHEAD,
    Decoded,
    decode_rows,
    read_header,
    to_range,
    upright,
)
from ssgan_core.photos.files import PhotoCollection
from ssgan_core.process import cores

VERSION = nvidia.dali.__version__


@pipeline_def
def photo_pipeline(
    feed: Callable[[], list[np.ndarray]],
    size: int,
    pixel_range: tuple[float, float] | None,
    device: str,
):
    """Batches of encoded bytes that `feed` returns → images, as `to_images` makes them."""
    encoded = fn.external_source(feed, batch=True, dtype=types.UINT8, ndim=1, no_copy=True)
    return to_images(encoded, size, pixel_range, device)


def to_images(
    encoded: DataNode,
    size: int,
    pixel_range: tuple[float, float] | None,
    device: str,
    turn: bool = False,
) -> DataNode:
    """Encoded bytes → decoded → resized: uint8 (B, S, S, 3), or float32 (B, 3, S, S) in a range.

    With the device "mixed" the bytes lie in the CPU's memory and the images on the GPU, where
    all that follows is computed; with "cpu" everything stays on the CPU. `turn` leaves it to DALI
    to find the EXIF orientation; `dali_batches` knows it from the header.
    """
    images = resize(decode(encoded, device, turn), size)
    return images if pixel_range is None else normalize(images, pixel_range)


def decode(encoded: DataNode, device: str, turn: bool = False) -> DataNode:
    """RGB images of any size, uint8, upright or as they are stored."""
    return fn.decoders.image(
        encoded, device=device, output_type=types.RGB, jpeg_fancy_upsampling=True,
        adjust_orientation=turn,
    )  # fmt: skip


def resize(images: DataNode, size: int) -> DataNode:
    """Squeezed to a square, with the filter that torchvision uses too."""
    return fn.resize(images, size=[size, size], interp_type=types.INTERP_LINEAR, antialias=True)


def normalize(images: DataNode, pixel_range: tuple[float, float]) -> DataNode:
    """float32, channels first, black and white at the ends of the range."""
    low, high = pixel_range
    std = 255 / (high - low)
    return fn.crop_mirror_normalize(
        images, dtype=types.FLOAT, output_layout="CHW", mean=[-low * std] * 3, std=[std] * 3
    )


class _Pending(NamedTuple):
    """A batch that was given to the pipeline and has not come back."""

    rows: np.ndarray
    data: list[np.ndarray]  # the pipeline borrows these bytes (no_copy)
    orientations: list[int]
    faults: list[tuple[int, str]]


def dali_batches(
    photos: PhotoCollection,
    batches: Iterable[np.ndarray],
    size: int,
    pixel_range: tuple[float, float] | None = None,
    threads: int | None = None,
    device: str | None = None,
) -> Iterator[Decoded]:
    """Decode batches of rows with DALI; no batch may be larger than the first.

    DALI does not say which file of a batch it could not decode, and its pipeline is lost then:
    the batches under way are decoded singly with torchvision and a new pipeline takes over.
    """
    device = device or working_device()
    threads = threads or cores()
    batches = iter(batches)
    first = next(batches, None)
    todo = deque([] if first is None else [first])
    waiting: deque[_Pending] = deque()

    def feed() -> list[np.ndarray]:
        while True:
            rows = todo.popleft() if todo else next(batches)  # its StopIteration ends the pipeline
            kept, data, orientations, faults = [], [], [], []
            for row in rows.tolist():
                encoded = photos.read(row)
                header = read_header(encoded)
                if header.fault:
                    faults.append((row, header.fault))
                else:
                    kept.append(row)
                    data.append(np.frombuffer(encoded, dtype=np.uint8))
                    orientations.append(header.orientation)
            waiting.append(_Pending(np.array(kept, dtype=np.int64), data, orientations, faults))
            if data:
                return data

    def emptied() -> Iterator[Decoded]:  # batches of which no photo could go into the pipeline
        while waiting and not waiting[0].data:
            pending = waiting.popleft()
            images = torch.empty(0, 3, size, size, dtype=torch.uint8)
            yield Decoded(pending.rows, to_range(images, pixel_range), pending.faults)

    while first is not None:
        pipeline = photo_pipeline(
            feed,
            size,
            pixel_range,
            device,
            batch_size=len(first),
            num_threads=threads,
            device_id=torch.cuda.current_device() if device == "mixed" else None,
            prefetch_queue_depth=AHEAD,
        )
        while True:
            try:
                (output,) = pipeline.run()
            except StopIteration:
                yield from emptied()
                return
            except RuntimeError:
                if not waiting:
                    raise
                while waiting:
                    pending = waiting.popleft()
                    rows, images, faults = decode_rows(photos, pending.rows, size)
                    if device == "mixed":
                        images = images.cuda()
                    faults = sorted(pending.faults + faults)
                    yield Decoded(rows, to_range(images, pixel_range), faults)
                break
            yield from emptied()
            pending = waiting.popleft()
            images = _own(output, pixel_range is None, pending.orientations)
            yield Decoded(pending.rows, images, pending.faults)


def _own(output, channels_last: bool, orientations: list[int]) -> torch.Tensor:
    """A copy of DALI's output (whose memory the next batch takes) as (B, 3, S, S), upright."""
    images = torch.from_dlpack(output.as_tensor())
    if channels_last:
        images = images.permute(0, 3, 1, 2)
    images = images.clone(memory_format=torch.contiguous_format)
    for i, orientation in enumerate(orientations):
        if orientation > 1:
            images[i] = upright(images[i].clone(), orientation)
    if images.is_cuda:
        torch.cuda.current_stream().synchronize()
    return images


@lru_cache(maxsize=1)
def working_device() -> str:
    """Where DALI decodes here, found by decoding one image: "mixed" (on the GPU) or "cpu".

    Raises the error of the attempt on the CPU where DALI does not work at all.
    """
    image = io.BytesIO()
    Image.new("RGB", (16, 16)).save(image, "JPEG")
    sample = np.frombuffer(image.getvalue(), dtype=np.uint8)

    def attempt(device: str, device_id: int | None) -> None:
        pipeline = photo_pipeline(
            lambda: [sample], 8, None, device, batch_size=1, num_threads=1, device_id=device_id
        )
        pipeline.run()

    if torch.cuda.is_available():
        try:
            attempt("mixed", torch.cuda.current_device())
            return "mixed"
        except RuntimeError:  # a driver too old for this DALI: its CPU decoder does not need one
            pass
    attempt("cpu", None)
    return "cpu"
