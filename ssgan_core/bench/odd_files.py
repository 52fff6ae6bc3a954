"""The files that photo collections really hold, and what each loader makes of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor
from torchvision.datasets import ImageFolder
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from ssgan_core.bench.folders import OPENERS, transforms
from ssgan_core.errors import InputError
from ssgan_core.pets.collection import draw_pet
from ssgan_core.photos.files import scan
from ssgan_core.photos.loader import Loader, PhotoStream

SIZE = 64  # what the files are decoded to
SAME = 6.0  # mean difference in levels of 255 up to which two pictures count as the same
EXIF_ORIENTATION = 274


class OddFile(NamedTuple):
    """A file as its owner named it, and the picture that a person sees in it, if there is one."""

    title: str
    name: str
    data: bytes
    picture: Image.Image | None


def odd_files() -> list[OddFile]:
    """One drawn pet, saved in the ways that fill a real folder of photos."""
    square, _ = draw_pet(seed=0, index=1, size=160)
    pet = square.crop((20, 0, 140, 160))  # higher than wide, so that a turn shows
    gray = pet.convert("L")
    deep = Image.fromarray(np.asarray(gray, dtype=np.uint16) * 257)
    turned = Image.Exif()
    turned[EXIF_ORIENTATION] = 6  # "turn me a quarter clockwise"
    lying, jpeg = pet.rotate(90, expand=True), _encode(pet)
    return [
        OddFile("plain JPEG", "plain.jpg", jpeg, pet),
        OddFile("grayscale", "gray.jpg", _encode(gray), gray),
        OddFile("CMYK", "cmyk.jpg", _encode(pet.convert("CMYK")), pet),
        OddFile("turned by EXIF", "turned.jpg", _encode(lying, exif=turned), pet),
        OddFile("progressive", "progressive.jpg", _encode(pet, progressive=True), pet),
        OddFile("cut in half", "half.jpg", jpeg[: len(jpeg) // 2], None),
        OddFile("without its last two bytes", "end.jpg", jpeg[:-2], None),
        OddFile("empty", "empty.jpg", b"", None),
        OddFile("PNG named .jpg", "png.jpg", _encode(pet, "PNG"), None),
        OddFile("16-bit PNG named .jpg", "png16.jpg", _encode(deep, "PNG"), None),
        OddFile("text", "text.jpg", b"<html>404 Not Found</html>", None),
    ]  # fmt: skip


def _encode(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 92} if kind == "JPEG" else {}) | options)
    return file.getvalue()


class Opened(NamedTuple):
    """What a loader makes of one file: an image uint8 (3, S, S), or the words of its error."""

    image: Tensor | None
    error: str | None


def open_all(files: Iterable[OddFile], folder: Path, loader: str) -> dict[str, Opened]:
    """Each file by itself through one loader, by its title.

    `loader` is "DALI" or "torchvision" (the book's `Loader`), "PIL" (an ImageFolder with the
    book's way to open a file) or "plain ImageFolder" (as it comes). The files are written into
    `folder`, which must be empty or hold them already.
    """
    for number, file in enumerate(files):
        path = folder / ("dog" if number else "cat") / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
    if loader in ("DALI", "torchvision"):
        calls = _by_stream(folder, loader.lower())
    else:
        calls = _by_folder(folder, OPENERS.get(loader.lower()))
    return {file.title: _try(calls[file.name], file.name) for file in files}


def _by_stream(folder: Path, backend: str) -> dict[str, Callable[[], Tensor]]:
    photos = scan(folder)
    source = PhotoStream(photos, SIZE, backend, threads=1)

    def first(row: int) -> Tensor:
        return next(iter(Loader(source, np.array([row]), 1))).images[0].cpu()

    return {Path(path).name: partial(first, row) for row, path in enumerate(photos.table["path"])}


def _by_folder(folder: Path, opener: Callable | None) -> dict[str, Callable[[], Tensor]]:
    plain = {} if opener is None else {"loader": opener}
    data = ImageFolder(str(folder), transforms(SIZE), **plain)
    return {
        Path(path).name: partial(lambda i: data[i][0], i)
        for i, (path, _) in enumerate(data.samples)
    }


def _try(call: Callable[[], Tensor], name: str) -> Opened:
    try:
        return Opened(call(), None)
    except InputError as error:
        return Opened(None, str(error).rstrip(".").partition("' ")[2])
    except Exception as error:  # what PIL raises, for the loader without rules
        return Opened(None, type(error).__name__)


def judge(file: OddFile, opened: Opened) -> str:
    """In words: refused and why, or which picture came, against the one that a person sees."""
    if opened.image is None:
        return f"refused: {opened.error}"
    if file.picture is None:
        return "some picture"
    apart = difference(opened.image, file.picture)
    return "the picture" if apart <= SAME else f"another picture ({apart:.0f} levels off)"


def difference(image: Tensor, picture: Image.Image) -> float:
    """Mean distance in levels of 255 between a loader's image and the picture, made as small."""
    expected = resize(pil_to_tensor(picture.convert("RGB")), list(image.shape[-2:]), antialias=True)
    return (image.float() - expected.float()).abs().mean().item()


def verdicts(opened: dict[str, dict[str, Opened]], files: Iterable[OddFile]) -> pd.DataFrame:
    """A row a file, a column a loader, from what `open_all` returned for each."""
    return pd.DataFrame(
        {
            loader: {file.title: judge(file, images[file.title]) for file in files}
            for loader, images in opened.items()
        }
    ).rename_axis("file")
