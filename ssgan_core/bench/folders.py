"""What most PyTorch code does: an ImageFolder, transforms, and a DataLoader with worker processes.

The two ways to open a file keep the rules of `ssgan_core.photos.decode`, so that all loaders of the
book agree on what a photo is. Plain `ImageFolder` does not: it shows photos lying on their sides,
takes a PNG for a JPEG, and stops at an empty file without naming it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image

from ssgan_core.errors import InputError
from ssgan_core.photos.decode import decode_jpeg_rgb, read_header, upright
from ssgan_core.photos.files import UNKNOWN, PhotoCollection


def open_with_pil(path: str | Path) -> Image.Image:
    """A JPEG file as an RGB picture, upright. Raises InputError, which names it, for a fault."""
    return _open(path, pil_rgb)


def open_with_torchvision(path: str | Path) -> Tensor:
    """A JPEG file as uint8 (3, H, W), upright. Raises InputError, which names it, for a fault."""
    return _open(path, decode_jpeg_rgb)


def pil_rgb(data: bytes) -> Image.Image:
    """The picture in a file, decoded to RGB and upright.

    Raises InputError, the end of a sentence, as `decode_jpeg_rgb` does.
    """
    header = read_header(data)
    if header.fault:
        raise InputError(header.fault)
    image = pil_stored(data)
    if header.orientation == 1:
        return image
    return to_pil_image(upright(pil_to_tensor(image), header.orientation))


def pil_stored(data: bytes) -> Image.Image:
    """The same as it is stored, as `stored_rgb` of torchvision's decoder gives it."""
    try:
        return Image.open(io.BytesIO(data)).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"cannot be decoded ({error})") from error


def _open(path: str | Path, decode: Callable):
    try:
        return decode(Path(path).read_bytes())
    except InputError as error:
        raise InputError(f"'{path}' {error}.") from error


OPENERS = {"pil": open_with_pil, "torchvision": open_with_torchvision}


def transforms(size: int) -> v2.Compose:
    """Picture → uint8 (3, S, S), resized with antialiasing."""
    return v2.Compose([v2.Resize((size, size), antialias=True), v2.ToImage(), v2.ToPureTensor()])


def folder_loader(
    root: str | Path,
    size: int,
    batch_size: int,
    opener: str = "pil",
    workers: int = 0,
    shuffle: bool = False,
) -> DataLoader:
    """Batches (images uint8 (B, 3, S, S), labels int64 (B,)) of a folder, one subfolder a class."""
    data = ImageFolder(str(root), transforms(size), loader=OPENERS[opener])
    return DataLoader(
        data,
        batch_size,
        shuffle=shuffle,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="fork" if workers else None,
    )


def unpack(photos: PhotoCollection, rows: np.ndarray, root: Path) -> Path:
    """Write some photos as `root`/class/number.jpg, for the loaders that want files in folders."""
    for number, row in enumerate(rows.tolist()):
        label = photos.table["label"][row]
        name = "unknown" if label == UNKNOWN else photos.classes[label]
        path = root / name / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photos.read(row))
    return root
