"""Train one method on a few labeled digits without a notebook, all label draws side by side.

python -m ssgan_core.train_digits --mnist PATH --draws 10 --steps 60000 --out my-run
python -m ssgan_core.train_digits --method vat --labels 20 --out my-run
"""

import sys
import time
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ssgan_core.command_line import parse, run_command, tell
from ssgan_core.device import keep_freed_memory
from ssgan_core.digits.images import Digits, draw_labeled, load_digits
from ssgan_core.digits.step import METHODS, Recipe
from ssgan_core.digits.training import DigitsTraining, accuracies, spread_labels, train
from ssgan_core.paths import output_path
from ssgan_core.results import Run, write_json
from ssgan_core.settings import Folder

SPREADING = "label_spreading"
HOW = ("method", "steps", "batch", "learning_rate", "epsilon")  # of the settings, in the recipe


class TrainDigitsSettings(DigitsTraining):
    """Train one method on a few labeled digits, many label draws side by side."""

    method: Literal[*METHODS, SPREADING] = Field(
        "feature_matching",
        description=f"what is trained; {SPREADING} has no network, and no steps",
    )
    epsilon: float = Field(
        Recipe.epsilon,
        gt=0,
        le=1,
        description="how far vat changes an image: rms over its pixels in 0..1",
    )
    out: Folder = Field("runs/train-digits", description="folder for all results")


def train_digits(settings: TrainDigitsSettings) -> None:
    """Run the trainings, or go on with them, and write their folder, unless that is done."""
    keep_freed_memory()
    digits = load_digits(settings.mnist)
    folder = output_path(settings.out)
    data = {"name": digits.name, "checksum": digits.checksum}
    run = Run.open("train_digits", settings, data, folder=folder)
    if run.recorded:
        tell(run.recorded)
        return
    seeds = range(settings.seed, settings.seed + settings.draws)
    rows = torch.stack([draw_labeled(digits.labels, settings.labels, s) for s in seeds])
    if settings.method == SPREADING:
        values, more = _spread(digits, rows), {}
    else:
        values, more = _train(digits, rows, settings, run)
    run.finish({settings.method: values}, **more)
    tell(f"{settings.method}: test accuracy {', '.join(f'{a:.2%}' for a in values['last'])}")


def _train(
    digits: Digits, rows: Tensor, settings: TrainDigitsSettings, run: Run
) -> tuple[dict[str, list], dict[str, dict]]:
    """Columns of the record of a training, and its weights beside them; its history is written."""
    recipe = Recipe(**{name: getattr(settings, name) for name in HOW})
    path = run.checkpoint(f"{recipe.method}.pt")
    done = train(digits, rows, recipe, settings.seed, path, evaluations=20, report=tell)
    write_json(run.folder / "history.json", {recipe.method: done.history.to_dict("records")})
    return done.values(digits.test_labels), {"weights": recipe.weights._asdict()}


def _spread(digits: Digits, rows: Tensor) -> dict[str, list]:
    """Columns of the record of label spreading."""
    began = time.perf_counter()
    right = spread_labels(digits, rows) == digits.test_labels
    return accuracies(right) | {
        "steps": [0] * len(rows),
        "minutes": [(time.perf_counter() - began) / 60 / len(rows)] * len(rows),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; `run_command` says what it returns."""
    return run_command(
        lambda: train_digits(parse(TrainDigitsSettings, arguments, "ssgan_core.train_digits"))
    )


if __name__ == "__main__":
    sys.exit(main())
