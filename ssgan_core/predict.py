"""Ask a trained classifier about photographs.

python -m ssgan_core.predict my-run/model.pt photo.jpg folder
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ssgan_core.checkpoint import load_checkpoint, save_checkpoint
from ssgan_core.command_line import run_command, tell
from ssgan_core.errors import InputError, explain
from ssgan_core.photos.decode import decode_photo, quiet, to_range
from ssgan_core.photos.files import EXTENSIONS
from ssgan_core.photos.networks import ResNet18
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.ssgan.fit import Fit

KIND = "ssgan_core classifier, version 1"


@dataclass
class Model:
    """A trained classifier and what it takes to use it."""

    network: nn.Module
    classes: tuple[str, ...]
    size: int
    pixel_range: tuple[float, float]

    @torch.no_grad()
    def predict(self, data: bytes) -> tuple[str, float]:
        """Most probable class of a JPEG file's bytes, and its probability.

        Raises InputError, the end of a sentence, where the bytes cannot be decoded.
        """
        image = decode_photo(data, self.size)
        logits, _ = self.network(to_range(image[None], self.pixel_range))
        probability, index = logits[0, : len(self.classes)].softmax(0).max(0)
        return self.classes[index], probability.item()


def save_model(path: Path, done: Fit, data: PhotoSet) -> None:
    """Write the network that `fit` judged last, weights and plain values only."""
    network, recipe = done.model, done.recipe
    save_checkpoint(
        path,
        {
            "kind": KIND,
            "recipe": recipe.name,
            "classes": list(data.classes),
            "size": data.images.shape[-1],
            "pixel_range": list(recipe.pixel_range),
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


def photos_in(folder: Path) -> list[Path]:
    """The JPEG files in a folder and those below it, sorted, but for hidden ones.

    Standard error tells of other files, which may be photos too.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = [f for f in files if not any(p.startswith(".") for p in f.relative_to(folder).parts)]
    others = [path.name for path in files if path.suffix.lower() not in EXTENSIONS]
    if others:
        names = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        print(f"{folder}: left out, not JPEG: {len(others)} ({names})", file=sys.stderr)
    return [path for path in files if path.suffix.lower() in EXTENSIONS]


def predict(model: Model, places: Sequence[str]) -> int:
    """Say what is on each photo, of a folder on all in it; 1 where one could not be read."""
    failed = 0
    for place in places:
        photos: Sequence[str | Path] = [place]
        if place and Path(place).is_dir():
            photos = photos_in(Path(place))
            if not photos:
                print(f"error: {place} holds no file {' or '.join(EXTENSIONS)}", file=sys.stderr)
                failed = 1
        for photo in photos:
            try:
                data = Path(photo).read_bytes()
                with quiet():
                    label, probability = model.predict(data)
            except (OSError, InputError) as error:
                told = isinstance(error, InputError)
                fault = error if told else f"cannot be read: {explain(error)}"
                print(f"error: {photo} {fault}", file=sys.stderr)
                failed = 1
            else:
                tell(f"{photo}: {label} {probability:.1%}")
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where every photo was read, 1 where one was not, 2 without a model."""

    def call() -> int:
        parser = argparse.ArgumentParser(prog="python -m ssgan_core.predict", description=__doc__)
        parser.add_argument("model", type=Path, help="model.pt of a training")
        parser.add_argument("photos", nargs="+", help="JPEG files, or folders of them")
        given = parser.parse_args(arguments)
        return predict(load_model(given.model), given.photos)

    return run_command(call)


if __name__ == "__main__":
    sys.exit(main())
