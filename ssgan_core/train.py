"""Train a recipe on photographs without a notebook, in one process or, under torchrun, in several.

python -m ssgan_core.train --recipe ssgan --photos PATH --size 64 --max-minutes 60 --out my-run
torchrun --nproc_per_node=4 -m ssgan_core.train --recipe ssgan --photos PATH --out my-run
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from ssgan_core.checkpoint import checksum
from ssgan_core.command_line import parse, run_command, tell
from ssgan_core.device import keep_freed_memory, processes, rank, world
from ssgan_core.errors import InputError
from ssgan_core.intervals import format_ci, marks
from ssgan_core.paths import output_path, resolve_path
from ssgan_core.photos.networks import LADDERS
from ssgan_core.photos.photoset import load_photos
from ssgan_core.predict import save_model
from ssgan_core.results import Run, claim, write_json
from ssgan_core.settings import Folder, Settings
from ssgan_core.ssgan.analysis import (
    by_weights_and_statistics,
    linear_probe,
    looks,
    spread_labels,
)
from ssgan_core.ssgan.evaluate import accuracy
from ssgan_core.ssgan.fit import SAMPLE_FILE, Fit, fit
from ssgan_core.ssgan.pretrain import load_weights
from ssgan_core.ssgan.recipes import ALL, Recipe, find_recipe
from ssgan_core.ssgan.settings import PhotoSettings, SSGANSettings
from ssgan_core.ssgan.study import data_summary, label_draws


class TrainSettings(PhotoSettings):
    """Train one recipe once; write metrics.json, model.pt and generated images to a folder."""

    PROFILES: ClassVar = {
        profile: {name: value for name, value in values.items() if name not in ("draws", "steps")}
        for profile, values in SSGANSettings.PROFILES.items()
    }
    draws: Literal[1] = Field(1, description="one training; give another --seed for another draw")
    recipe: Literal[tuple(ALL)] = Field("ssgan", description=", ".join(ALL))
    size: Literal[tuple(LADDERS)] = Field(None, description="side of an image in pixels")
    generator_width: int = Field(None, ge=16, le=1024, description="generator's first channels")
    steps: int | None = Field(
        None, ge=1, description="training steps; without them and max-minutes, the profile's"
    )
    max_minutes: float | None = Field(
        None, gt=0, description="training time; the learning rate is 0 when it is over"
    )
    unlabeled_batch: int | None = Field(
        None, ge=2, description="unlabeled photos in a step; None: the recipe's"
    )
    features: Folder | None = Field(
        None, description="folder of ssgan_core.pretrain whose features training begins at"
    )
    out: Folder = Field("runs/train", description="folder for all results")

    @property
    def chosen(self) -> Recipe:
        """The recipe, with the batch that was asked for.

        Raises
        ------
        InputError
            The recipe takes no unlabeled photos.
        """
        recipe = find_recipe(self.recipe)
        if self.unlabeled_batch and not recipe.unlabeled:
            takers = ", ".join(name for name, other in ALL.items() if other.unlabeled)
            raise InputError(
                f"unlabeled_batch is {self.unlabeled_batch}, but {recipe.name} takes no unlabeled "
                f"photos; accepted with {takers}"
            )
        return replace(recipe, unlabeled_batch=self.unlabeled_batch or recipe.unlabeled_batch)

    @property
    def limits(self) -> dict[str, float | None]:
        """Where training ends, for `fit`."""
        steps = self.steps
        if steps is None and self.max_minutes is None:
            steps = SSGANSettings.PROFILES[self.profile]["steps"]
        return {"steps": steps, "max_minutes": self.max_minutes}


def train(settings: TrainSettings) -> Fit | None:
    """Run a training, or go on with one, and write its folder; None where that is done already."""
    recipe, folder = settings.chosen, output_path(settings.out)
    report = tell if rank() == 0 else lambda line: None
    # Before minutes of decoding; `Run.open` takes it over.
    _claimed = None if (folder / "metrics.json").exists() else claim(folder)
    photos = load_photos(settings, report)
    (data,) = label_draws(settings, photos, report, measured=False)
    summary, features = data_summary([data]), None
    if settings.features:
        features = load_weights(resolve_path(settings.features))
        summary["features"] = checksum(features["conv1.weight"])
    run = Run.open("train", settings, summary, folder=folder)
    if run.recorded:
        report(run.recorded)
        return None
    checkpoint = folder / "checkpoint.pt"
    run.resumed = checkpoint.exists()
    done = fit(
        recipe,
        data,
        **settings.limits,
        width=settings.width,
        generator_width=settings.generator_width,
        evaluations=settings.evaluations,
        seed=settings.seed,
        features=features,
        checkpoint=checkpoint,
        pictures=folder / "samples",
        report=report,
    )
    # In all processes: where they have GPUs, batch norm measures its statistics over all of them.
    judged = by_weights_and_statistics(done.learner, data)
    if recipe.gan and len(data.rows("test")):
        judged["looks"] = looks(done.learner, done.model, data).to_dict()
    if rank() == 0:
        model = done.model, recipe.name, recipe.pixel_range, data.classes, settings.size
        save_model(folder / "model.pt", *model)
        columns = done.history.to_dict("list")
        values = {key: [value] for key, value in done.test.items()}
        predicted = np.bincount(done.probabilities.argmax(1), minlength=len(data.classes))
        values |= {
            "validation": [columns["validation"]],
            "steps": [columns["step"][-1]],
            "minutes": [columns["seconds"][-1] / 60],
            "probe": [linear_probe(done.learner, done.model, data)],
            "spread": [spread_labels(done.learner, done.model, data)],
            "correct": [marks(done.correct)],
            "predicted": [predicted / max(len(done.correct), 1)],
        }
        values |= {name: [value] for name, value in judged.items()}
        if (data.labels("unlabeled") >= 0).any():
            values["unlabeled"] = [accuracy(done.learner, done.model, data, "unlabeled")]
        write_json(folder / "history.json", columns)
        if done.samples:
            last = folder / "samples" / SAMPLE_FILE.format(max(done.samples))
            shutil.copy(last, folder / "generated.png")
        run.finish({recipe.name: values}, recipe=recipe.settings, processes=world())
        checkpoint.unlink(missing_ok=True)
        tell(f"test accuracy {format_ci([done.test['last']])}; "
             f"{folder}/model.pt, {folder}/metrics.json")  # fmt: skip
    return done


def run_training(
    kind: type[Settings],
    work: Callable[[Settings], object],
    arguments: Sequence[str] | None,
    program: str,
) -> int:
    """The exit status of a command that trains, alone or under torchrun, with settings of a kind.

    `run_command` says which.
    """

    def call() -> None:
        settings = parse(kind, arguments, program)
        keep_freed_memory()
        with processes():
            work(settings)

    return run_command(call)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; `run_command` says what it returns."""
    return run_training(TrainSettings, lambda s: train(s), arguments, "ssgan_core.train")


if __name__ == "__main__":
    sys.exit(main())
