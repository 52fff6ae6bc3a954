"""Train the digits GAN and its baseline without a notebook, all label draws side by side.

python -m ssgan_core.train_digits --mnist PATH --draws 10 --steps 60000 --out my-run
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import Field

from ssgan_core.command_line import parse, run_command, tell
from ssgan_core.digits.images import draw_labeled, load_digits
from ssgan_core.digits.step import BASELINE_STEPS, Recipe
from ssgan_core.digits.training import DigitsTraining, train
from ssgan_core.results import Run, write_json
from ssgan_core.settings import Folder


class TrainDigitsSettings(DigitsTraining):
    """Train a GAN on a few labeled digits, and the same network on the labels alone."""

    out: Folder = Field("runs/train-digits", description="folder for all results")


def train_digits(settings: TrainDigitsSettings) -> None:
    """Run the trainings, or go on with them, and write their folder, unless that is done."""
    digits = load_digits(settings.mnist)
    folder = Path(settings.out).expanduser().resolve()
    data = {"name": digits.name, "checksum": digits.checksum}
    run = Run.open("train_digits", settings, data, folder=folder)
    if run.recorded:
        tell(run.recorded)
        return
    seeds = range(settings.seed, settings.seed + settings.draws)
    rows = torch.stack([draw_labeled(digits.labels, settings.labels, s) for s in seeds])
    gan = Recipe(settings.generator, settings.steps, settings.batch, settings.learning_rate)
    alone = replace(gan, method="supervised", steps=min(gan.steps, BASELINE_STEPS))
    values, history = {}, {}
    for recipe in (gan, alone):
        path = run.checkpoint(f"{recipe.method}.pt")
        done = train(digits, rows, recipe, settings.seed, path, evaluations=20, report=tell)
        minutes = done.history.seconds.iloc[-1] / 60 / settings.draws
        values[recipe.method] = {
            "last": done.accuracy,
            "last_raw": done.last_accuracy,
            "steps": [recipe.steps] * settings.draws,
            "minutes": [minutes] * settings.draws,
        }
        history[recipe.method] = done.history.to_dict("records")
    write_json(folder / "history.json", history)
    run.finish(values)
    for method, accuracies in values.items():
        tell(f"{method}: test accuracy {', '.join(f'{a:.2%}' for a in accuracies['last'])}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; `run_command` says what it returns."""
    return run_command(
        lambda: train_digits(parse(TrainDigitsSettings, arguments, "ssgan_core.train_digits"))
    )


if __name__ == "__main__":
    sys.exit(main())
