"""Ask a trained classifier about photographs.

python -m ssgan_core.predict my-run/model.pt photo.jpg another.jpg
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ssgan_core.checkpoint import load_checkpoint, save_checkpoint
from ssgan_core.errors import InputError
from ssgan_core.photos.decode import decode_photo, quiet, to_range
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
    try:
        saved = load_checkpoint(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if saved is None:
        raise InputError(f"the model {path} does not exist")
    if not isinstance(saved, dict) or saved.get("kind") != KIND:
        raise InputError(f"{path} is not a model written by ssgan_core.train")
    network = ResNet18(**saved["network"])
    network.load_state_dict(saved["weights"])
    low, high = saved["pixel_range"]
    return Model(network.eval(), tuple(saved["classes"]), saved["size"], (low, high))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where every photo was read, 1 where one was not, 2 without a model."""
    parser = argparse.ArgumentParser(prog="python -m ssgan_core.predict", description=__doc__)
    parser.add_argument("model", type=Path, help="model.pt of a training")
    parser.add_argument("photos", nargs="+", help="JPEG files")
    given = parser.parse_args(arguments)
    failed = 0
    try:
        model = load_model(given.model)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for photo in given.photos:
        try:
            data = Path(photo).read_bytes()
            with quiet():
                label, probability = model.predict(data)
            print(f"{photo}: {label} {probability:.1%}")
        except (OSError, InputError) as error:
            fault = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else error
            print(f"error: {photo} {fault}", file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
