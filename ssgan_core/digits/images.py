"""Handwritten digits: scikit-learn's 8 x 8 images, or MNIST where a folder holds it."""

import contextlib
import hashlib
import io
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits as sklearn_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torchvision.datasets import MNIST

from ssgan_core.errors import InputError
from ssgan_core.paths import resolve_path

CLASSES = 10
TEST_8X8 = 500  # of the 1,797 small digits
MNIST_SHAPES = {
    "train-images-idx3-ubyte": (60_000, 28, 28),
    "train-labels-idx1-ubyte": (60_000,),
    "t10k-images-idx3-ubyte": (10_000, 28, 28),
    "t10k-labels-idx1-ubyte": (10_000,),
}


@dataclass(frozen=True)
class Digits:
    """Images as float32 (N, side * side) in [0, 1], labels as int64 (N,), for train and test.

    The training labels exist so that labeled sets can be drawn from them; training code gets
    the rows of a labeled set and never reads the other labels.
    """

    name: str
    side: int
    images: Tensor
    labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    @property
    def checksum(self) -> str:
        """sha256 over the four tensors."""
        digest = hashlib.sha256()
        for tensor in (self.images, self.labels, self.test_images, self.test_labels):
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()


def load_digits(mnist: str | Path | None = None) -> Digits:
    """Digits from the folder `mnist` (which holds or receives MNIST/raw), or the 8 x 8 digits.

    Raises InputError when the folder does not exist, holds no MNIST and it cannot be downloaded,
    or when a file in it is not the IDX file that its name promises.
    """
    if mnist is not None:
        return _mnist(resolve_path(mnist))
    images, labels = sklearn_digits(return_X_y=True)
    images, labels = (images / 16).astype(np.float32), labels.astype(np.int64)
    split = train_test_split(images, labels, test_size=TEST_8X8, stratify=labels, random_state=0)
    train, test, train_labels, test_labels = map(torch.from_numpy, split)
    return Digits("8×8 digits (scikit-learn)", 8, train, train_labels, test, test_labels)


def _mnist(root: Path) -> Digits:
    if not os.path.isdir(root):
        raise InputError(f"mnist is {root}, which is no folder; give one that holds MNIST/raw")
    raw = root / "MNIST" / "raw"
    if not all((raw / name).is_file() for name in MNIST_SHAPES):
        _download(root)
    for name, shape in MNIST_SHAPES.items():
        _check_idx(raw / name, shape)
    train, test = (MNIST(root, train=part) for part in (True, False))
    for name, part in (("train-labels", train), ("t10k-labels", test)):
        if (found := int(part.targets.max())) >= CLASSES:
            raise InputError(f"{raw / name}-idx1-ubyte holds the label {found}; labels are 0 to 9")
    images, test_images = (part.data.flatten(1).float() / 255 for part in (train, test))
    return Digits("MNIST", 28, images, train.targets, test_images, test.targets)


def _download(root: Path) -> None:
    """Fetch what is missing, quietly: a page has no use for the progress; all of it or nothing."""
    folder = root / "MNIST"
    before = {*root.glob("MNIST"), *folder.rglob("*")}
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
            MNIST(root, download=True)
    except (OSError, RuntimeError) as error:
        missing = [n for n in MNIST_SHAPES if not (folder / "raw" / n).is_file()]
        for path in sorted({*root.glob("MNIST"), *folder.rglob("*")} - before, reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{folder / 'raw'} lacks {', '.join(missing)}, and downloading failed "
            f"({reason}); put the four IDX files of MNIST there"
        ) from error


def _check_idx(path: Path, shape: tuple[int, ...]) -> None:
    """Raise InputError unless `path` is an IDX file of unsigned bytes with this shape."""
    header = 4 + 4 * len(shape)
    with path.open("rb") as file:
        head = file.read(header)
    magic = bytes([0, 0, 8, len(shape)])
    if head[:4] != magic:
        raise InputError(
            f"{path} starts with the bytes {head[:4].hex(' ') or '(none)'}; "
            f"this IDX file starts with {magic.hex(' ')}"
        )
    expected = header + int(np.prod(shape))
    size = path.stat().st_size
    if size != expected:
        raise InputError(f"{path} has {size:,} bytes and must have {expected:,}")
    found = struct.unpack(f">{len(shape)}I", head[4:])
    if found != shape:
        raise InputError(f"{path} says that its shape is {found}; MNIST's is {shape}")


def draw_labeled(labels: Tensor, n: int, seed: int) -> Tensor:
    """Rows (n,) of a random labeled set with equally many of each class, in class order.

    Raises InputError when n is no positive multiple of the classes, or a class has too few rows.
    """
    each, rest = divmod(n, CLASSES)
    if each < 1 or rest:
        raise InputError(
            f"labels is {n}; a balanced draw needs a positive multiple of the {CLASSES} classes"
        )
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for k in range(CLASSES):
        rows = torch.nonzero(labels == k).squeeze(1)
        if len(rows) < each:
            raise InputError(
                f"labels is {n}, that is {each} of each class, "
                f"and class {k} has only {len(rows)} images"
            )
        chosen.append(rows[torch.randperm(len(rows), generator=generator)[:each]])
    return torch.cat(chosen)
