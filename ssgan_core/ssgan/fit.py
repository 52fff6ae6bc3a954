"""One training of a recipe: its batches, its evaluations, its best and its last model."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.io import encode_png
from torchvision.utils import make_grid

from ssgan_core import loop
from ssgan_core.checkpoint import checksum
from ssgan_core.device import Hardware, captured, rank, share, world
from ssgan_core.errors import InputError
from ssgan_core.paths import whole_file
from ssgan_core.photos.loader import Schedule
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.ssgan.evaluate import accuracy, evaluation_model, generate, probabilities, variety
from ssgan_core.ssgan.recipes import Recipe
from ssgan_core.ssgan.step import Learner, make_learner, schedule, ssgan_step, supervised_step

SAMPLES = 40  # images generated at each evaluation, always from the same noise
SAMPLE_FILE = "generated-{:07d}.png"  # by the step after which they were made
COLLAPSED = 0.1  # generated images that vary less than this share of the real ones are all alike


@dataclass
class Fit:
    """What one training returns.

    `history` has one row an evaluation: step, seconds, epoch, validation accuracy, with a
    generator the `variety` of its images, and mean loss terms. `test` has the test accuracy of
    three models: `last` (EMA where the recipe has it), `last_raw` (the weights of the last step)
    and `best` (like `last`, at the evaluation of the best validation accuracy, `best_step`; those
    on smaller images, as `Recipe.small_first` has them, do not compete). `model` is the network
    of `last`, `probabilities` (T, K) its softmax on the test images, `correct` (T,) whether it
    reads each of them right. `samples` maps an evaluation's step to generated images (40, 3, S, S),
    uint8.
    """

    recipe: Recipe
    seed: int
    history: pd.DataFrame
    test: dict[str, float]
    best_step: int
    probabilities: np.ndarray
    correct: np.ndarray
    samples: dict[int, Tensor]
    learner: Learner
    model: nn.Module


def fit(
    recipe: Recipe,
    data: PhotoSet,
    steps: int | None = None,
    *,
    max_minutes: float | None = None,
    width: int = 64,
    generator_width: int = 512,
    evaluations: int = 10,
    seed: int = 0,
    features: Mapping[str, Tensor] | None = None,
    checkpoint: Path | None = None,
    pictures: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Fit:
    """Train a recipe on labeled and unlabeled images, as `loop.run` trains.

    The classifier begins at `features`, the weights of a network that has learned without labels,
    where they are given: all but its last layer. Test images are looked at once, after all training
    and all selection. Without validation images the last evaluation is the best; an accuracy on no
    image is NaN. An image of generated samples goes to the folder `pictures` after each evaluation.

    Raises InputError where a split to train on is empty, the checkpoint is another training's, or
    the processes of `torchrun` cannot share the batches evenly, two images or more for each.
    """
    sizes = batch_sizes(recipe, data)
    loop.seed_step(seed, -1)
    size = data.images.shape[-1]
    learner = make_learner(
        recipe, size, width, generator_width, len(data.classes), Hardware.detect()
    )
    if features:
        learner.begin_at(features)
    counts = np.bincount(data.labels("labeled"), minlength=len(data.classes))
    learner.shares["labeled"].copy_(torch.from_numpy(counts / counts.sum()))
    data = data.on(learner.hardware.device)
    noise = torch.randn(SAMPLES, learner.generator.noise) if recipe.gan else None
    real = data.images[data.rows("unlabeled")[:250]]
    schedules = {
        split: Schedule(data.rows(split), count, shuffle=True, seed=seed)
        for split, count in sizes.items()
    }
    best = loop.Kept(step=0, validation=-1.0, weights={})
    samples = loop.Kept()
    take = captured(partial(ssgan_step if recipe.unlabeled else supervised_step, learner),
                    learner.hardware.device)  # fmt: skip

    def batch(split: str, number: int) -> Tensor:
        """This process's rows of a step's batch."""
        return share(torch.from_numpy(schedules[split].batch(number)).to(data.images.device))

    def step(number: int, progress: float) -> dict[str, Tensor]:
        stage = schedule(learner, progress, number)
        labeled = batch("labeled", number)
        images = [data.images[labeled], data.targets[labeled]]
        if recipe.unlabeled:
            images.append(data.images[batch("unlabeled", number)])
        terms = take(stage, *images)
        if learner.ema:
            learner.ema.update_parameters(learner.classifier)
        return terms

    def evaluate(number: int, progress: float) -> dict[str, float]:
        stage = schedule(learner, progress, number)
        model = evaluation_model(learner, data, stage.reduction)
        found = accuracy(learner, model, data, "val", stage.reduction)
        pool = "unlabeled" if recipe.unlabeled else "labeled"
        row = {"epoch": number * sizes[pool] / len(data.rows(pool)), "validation": found}
        if stage.reduction == 1 and not found <= best["validation"]:
            best.update(step=number, validation=found, weights=deepcopy(model.state_dict()))
        if recipe.gan:
            samples[number] = generate(learner, noise)
            row["variety"] = variety(samples[number], real)
            if pictures and rank() == 0:
                pictures.mkdir(parents=True, exist_ok=True)
                grid = encode_png(make_grid(samples[number], nrow=10))
                with whole_file(pictures / SAMPLE_FILE.format(number)) as partial:
                    partial.write_bytes(grid.numpy())
        return row

    parts = loop.parts_of(learner) | {"best": best, "samples": samples}
    identity = recipe.settings | {"name": recipe.name, "photos": data.split_checksum}
    identity |= {"size": size, "width": width, "generator_width": generator_width}
    identity |= {"features": features and checksum(features["conv1.weight"])}
    history = loop.run(
        parts, step, evaluate, identity, steps=steps, max_minutes=max_minutes,
        evaluations=evaluations, seed=seed, checkpoint=checkpoint, report=report,
    )  # fmt: skip
    if recipe.gan and history["variety"].iloc[-1] < COLLAPSED:
        report(f"{recipe.name}: generated images are nearly all alike: the generator has collapsed")
    model = evaluation_model(learner, data)
    on_test = probabilities(learner, model, data, "test")
    correct = on_test.argmax(1) == data.labels("test")
    test = {"last": float(correct.mean() if len(correct) else np.nan)}
    test["last_raw"] = accuracy(learner, learner.classifier, data, "test")
    last = deepcopy(model.state_dict())
    model.load_state_dict(best["weights"])
    test["best"] = accuracy(learner, model, data, "test")
    model.load_state_dict(last)
    return Fit(
        recipe, seed, history, test, best["step"], on_test, correct, dict(samples), learner, model
    )


def batch_sizes(recipe: Recipe, data: PhotoSet) -> dict[str, int]:
    """Images of each split in a step, all processes together.

    Raises InputError where a split has no photo, or a batch cannot be shared evenly or has fewer
    than two images for a process.
    """
    for split in ("labeled", *(["unlabeled"] if recipe.unlabeled else [])):
        if not len(data.rows(split)):
            raise InputError(f"split {split!r} has no photo; {recipe.name} needs at least one")
    count = len(data.rows("labeled"))
    sizes = {"labeled": min(recipe.labeled_batch or count, count)}
    if recipe.unlabeled:
        sizes["unlabeled"] = min(recipe.unlabeled_batch, len(data.rows("unlabeled")))
    for split, batch in sizes.items():
        if batch % world():
            raise InputError(
                f"{world()} processes cannot share a batch of {batch} {split} photos evenly"
            )
        if batch < 2 * world():
            raise InputError(
                f"a step has {batch} {split} photos for {world()} process"
                f"{'es' if world() > 1 else ''}; batch norm needs at least 2 in each: "
                "more such photos, or a larger batch"
            )
    return sizes
