"""Ask a trained classifier about photographs.

python -m ssgan_core.predict my-run/model.pt photo.jpg folder photos.tar --csv answers.csv
"""

import argparse
import csv
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ssgan_core.checkpoint import load_checkpoint, save_checkpoint
from ssgan_core.command_line import run_command, tell
from ssgan_core.errors import InputError, explain
from ssgan_core.paths import output_file, whole_file
from ssgan_core.photos.decode import MAX_PIXELS, read_header, to_range, upright
from ssgan_core.photos.files import EXTENSIONS, LAYOUTS, counted, find_photos
from ssgan_core.photos.networks import ResNet18

KIND = "ssgan_core classifier, version 1"
ENDINGS = (*EXTENSIONS, ".png")
PNG = b"\x89PNG"
Image.MAX_IMAGE_PIXELS = None  # ours is asked before a pixel is decoded


@dataclass
class Model:
    """A trained classifier and what it takes to use it."""

    network: nn.Module
    classes: tuple[str, ...]
    size: int
    pixel_range: tuple[float, float]

    @torch.no_grad()
    def predict(self, data: bytes) -> list[float]:
        """The probability of each class, of the bytes of a JPEG or PNG file.

        Raises InputError, the end of a sentence, where the bytes cannot be decoded.
        """
        image = decode_picture(data, self.size)
        logits, _ = self.network(to_range(image[None], self.pixel_range))
        return logits[0, : len(self.classes)].softmax(0).tolist()


def decode_picture(data: bytes, size: int) -> Tensor:
    """One JPEG or PNG file as uint8 (3, size, size), as `photos.decode.decode_photo` has a JPEG:
    PIL decodes the same pixels, and is there at once. What is transparent becomes white.

    Raises InputError, the end of a sentence.
    """
    is_png = data.startswith(PNG)
    header = None if is_png else read_header(data)
    if header and header.fault:
        raise InputError(header.fault)
    try:
        with Image.open(io.BytesIO(data), formats=["PNG" if is_png else "JPEG"]) as picture:
            if is_png:
                picture = _opaque(picture)
            pixels = np.array(picture.convert("RGB"))
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError) as error:  # SyntaxError: a broken PNG
        raise InputError(f"cannot be decoded ({error})") from error
    image = upright(torch.from_numpy(pixels).permute(2, 0, 1), header.orientation if header else 1)
    return interpolate(image[None], [size, size], mode="bilinear", antialias=True)[0]


def _opaque(picture: Image.Image) -> Image.Image:
    """A PNG picture on white ground."""
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InputError(f"claims {width}×{height} pixels; 1 to {MAX_PIXELS:,} are accepted")
    if picture.mode.startswith("I"):
        raise InputError("has 16 bits a pixel of gray; 8 are accepted")
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)


def save_model(
    path: Path,
    network: ResNet18,
    recipe: str,
    pixel_range: tuple[float, float],
    classes: Sequence[str],
    size: int,
) -> None:
    """Write a trained classifier, weights and plain values only."""
    save_checkpoint(
        path,
        {
            "kind": KIND,
            "recipe": recipe,
            "classes": list(classes),
            "size": size,
            "pixel_range": list(pixel_range),
            "network": network.arguments,
            "weights": {name: value.cpu() for name, value in network.state_dict().items()},
        },
    )


def load_model(path: Path) -> Model:
    """The model that `save_model` wrote; InputError for any other file, or none."""
    saved = load_checkpoint(path)
    if saved is None:
        raise InputError(f"the model {path} does not exist")
    try:
        if saved["kind"] != KIND:
            raise ValueError(f"of kind {saved['kind']!r}")
        network = ResNet18(**saved["network"])
        network.load_state_dict(saved["weights"])
        low, high = saved["pixel_range"]
        return Model(network.eval(), tuple(saved["classes"]), saved["size"], (low, high))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is not a model written by ssgan_core.train") from error


def photos_at(place: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The photos of a folder or a tar file, or the one that a place is: path, and what reads it.

    Standard error tells of other files, which may be photos too. InputError where there is none.
    """
    path, unused, found = Path(place), Counter(), 0
    if not place or not (path.is_dir() or (path.suffix.lower() == ".tar" and path.is_file())):
        yield place, path.read_bytes
        return
    for name, read in find_photos(path, ENDINGS, unused):
        found += 1
        yield str(path / name), read
    if unused:
        print(f"{place}: left out, neither JPEG nor PNG: {counted(unused)}", file=sys.stderr)
    if not found:
        raise InputError(f"{place} holds no file {' or '.join(ENDINGS)}")


def told_class(path: str, classes: Sequence[str]) -> str | None:
    """The class that a photo's folder or name tells in a layout that `photos.files` reads."""
    *_, folder, file = ("", *PurePosixPath(Path(path).absolute()).with_suffix(".jpg").parts)
    for name in (f"{folder}/{file}", file):
        for parse in LAYOUTS.values():
            named = parse(name)
            if named and named.label in classes:
                return named.label
    return None


def answers(model: Model, places: Sequence[str]) -> Iterator[tuple[str, list[float] | InputError]]:
    """Path and class probabilities of every photo at some places, or why there are none."""
    for place in places:
        try:
            for path, read in photos_at(place):
                try:
                    yield path, model.predict(read())
                except InputError as error:
                    yield path, InputError(f"{path} {error}")
                except OSError as error:
                    yield path, InputError(f"{path} cannot be read: {explain(error)}")
        except OSError as error:
            yield place, InputError(f"{place} cannot be read: {explain(error)}")
        except InputError as error:
            yield place, error


def predict(model: Model, places: Sequence[str], table: str | None = None) -> int:
    """Say what is on each photo, of a folder or tar file on all in it, or write it to a CSV, and
    how many are right where names tell; 1 where one could not be read."""
    file = output_file(table, ".csv") if table else None
    failed, rows, right = 0, [], []
    for path, chances in answers(model, places):
        if isinstance(chances, InputError):
            print(f"error: {chances}", file=sys.stderr)
            failed = 1
            continue
        chance, label = max(zip(chances, model.classes, strict=True))
        if known := told_class(path, model.classes):
            right.append(label == known)
        if file:
            rows.append([path, label, *chances])
        else:
            tell(f"{path}: {label} {chance:.1%}")
    if file:
        with (
            whole_file(file) as partial,
            partial.open("w", encoding="utf-8", errors="backslashreplace", newline="") as written,
        ):
            header = ["path", "label", *model.classes]
            csv.writer(written, lineterminator="\n").writerows([header, *rows])
        tell(f"{table}: {len(rows)} photos")
    if right:
        told = f"the {len(right)} photos whose name or folder tells the class"
        tell(f"accuracy {sum(right) / len(right):.1%} of {told}")
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where every photo was read, 1 where one was not, 2 without a model."""

    def call() -> int:
        parser = argparse.ArgumentParser(prog="python -m ssgan_core.predict", description=__doc__)
        parser.add_argument("model", type=Path, help="model.pt of a training")
        parser.add_argument("photos", nargs="+", help="JPEG and PNG files, folders and tar files")
        parser.add_argument("--csv", help="table to write, with the probability of every class")
        given = parser.parse_args(arguments)
        return predict(load_model(given.model), given.photos, given.csv)

    return run_command(call)


if __name__ == "__main__":
    sys.exit(main())
