"""The article's DALI pipeline, in today's API: a file reader instead of our own schedule.

The reader finds, shuffles and shards the files itself, which is short and fast. It draws its order
from a buffer, starts again from nothing when a training is resumed, takes no tar shards, and stops
with an error that names no file where one cannot be decoded: so the book's chapters feed DALI by
`ssgan_core.photos.dali` instead, and this one is here to be read, counted and measured.

Importing this module needs the package `nvidia-dali-cuda120`, which exists for Linux only.
"""

from __future__ import annotations

from pathlib import Path

import torch
from nvidia.dali import fn, pipeline_def
from nvidia.dali.plugin.base_iterator import LastBatchPolicy
from nvidia.dali.plugin.pytorch import DALIGenericIterator

from ssgan_core.photos.dali import to_images, working_device
from ssgan_core.photos.decode import AHEAD
from ssgan_core.process import cores

READER = "reader"


@pipeline_def
def file_pipeline(
    root: str,
    size: int,
    pixel_range: tuple[float, float] | None,
    device: str,
    shuffle: bool,
):
    """Files of one folder a class → images, and labels in the order of the folders' names."""
    encoded, labels = fn.readers.file(
        name=READER,
        file_root=root,
        random_shuffle=shuffle,
        prefetch_queue_depth=AHEAD,
    )
    return to_images(encoded, size, pixel_range, device, turn=True), labels


def file_loader(
    root: str | Path,
    size: int,
    batch_size: int,
    pixel_range: tuple[float, float] | None = None,
    threads: int | None = None,
    shuffle: bool = False,
    last_batch: str = "partial",
) -> DALIGenericIterator:
    """An iterator over `root`: each loop is an epoch of [{"images": …, "labels": …}].

    images: float32 (B, 3, S, S) in the pixel range, or uint8 (B, S, S, 3) without one; labels:
    int32 (B, 1). `last_batch` says what becomes of a last batch that is not full: "fill" it with
    images that were there before, give the "partial" one, or "drop" it.
    """
    device = working_device()
    pipeline = file_pipeline(
        str(root),
        size,
        pixel_range,
        device,
        shuffle,
        batch_size=batch_size,
        num_threads=threads or cores(),
        device_id=torch.cuda.current_device() if device == "mixed" else None,
        prefetch_queue_depth=AHEAD,
    )
    return DALIGenericIterator(
        pipeline,
        ["images", "labels"],
        reader_name=READER,
        last_batch_policy=LastBatchPolicy[last_batch.upper()],
    )
