"""The loop around the steps: rounds, checkpoints, the best and the last model."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ssgan_core.data.loaders import Batch
from ssgan_core.errors import InputError
from ssgan_core.training.checkpoint import load_checkpoint, save_checkpoint
from ssgan_core.training.evaluate import (
    PhotoData,
    accuracy,
    evaluation_model,
    generate,
    probabilities,
)
from ssgan_core.training.hardware import Hardware
from ssgan_core.training.photos import (
    Learner,
    make_learner,
    set_learning_rate,
    ssgan_step,
    supervised_step,
)
from ssgan_core.training.recipes import Recipe

SAMPLES = 40  # images generated after each round, always from the same noise


@dataclass
class Fit:
    """What one training returns.

    `history` has one row a round: step, epoch, mean loss terms, validation accuracy, seconds.
    `test` has the test accuracy of three models: `last` (averaged weights where the recipe
    averages), `last_raw` (the weights of the last step) and `best` (like `last`, at the round of
    the best validation accuracy, `best_step`). `probabilities` (T, K) are those of `last` on the
    test images. `samples` maps a round's step to generated images (40, 3, S, S), uint8.
    """

    recipe: Recipe
    seed: int
    history: pd.DataFrame
    test: dict[str, float]
    best_step: int
    probabilities: np.ndarray
    samples: dict[int, Tensor]
    learner: Learner


def fit(
    recipe: Recipe,
    data: PhotoData,
    steps: int,
    *,
    width: int = 64,
    generator_width: int = 512,
    rounds: int = 10,
    seed: int = 0,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Fit:
    """Train a recipe for so many steps; evaluate on the validation images after each round.

    Every random number of a step depends on the seed and the step alone, so a training that goes
    on from its checkpoint computes, on a CPU, exactly what it would have computed uninterrupted.

    Raises
    ------
    InputError
        A split is empty, or the checkpoint is another training's.
    FloatingPointError
        A loss is no longer a number.
    """
    for split in ("labeled", "val", "test", *(["unlabeled"] if recipe.gan else [])):
        if not len(data.photos.rows(split)):
            raise InputError(f"split {split!r} has no photo; every split needs at least one")
    _seed(seed, -1)
    size, classes = data.images.shape[-1], len(data.photos.classes)
    learner = make_learner(recipe, size, width, generator_width, classes, Hardware.detect())
    noise = learner.noise(SAMPLES) if recipe.gan else None
    identity = [recipe.name, list(data.photos.classes), size, width, generator_width, steps, seed]
    log: dict[str, Any] = {"identity": identity, "step": 0, "seconds": 0.0, "history": []}
    log |= {"samples": {}, "best": {"step": 0, "validation": -1.0, "weights": {}}}
    saved = load_checkpoint(checkpoint, learner.hardware.device) if checkpoint else None
    if saved:
        if saved.get("identity") != identity:
            raise InputError(
                f"{checkpoint} is a checkpoint of {saved.get('identity')}, this training is "
                f"{identity} (recipe, classes, size, widths, steps, seed)"
            )
        for name, part in _parts(learner).items():
            part.load_state_dict(saved[name])
        log = {key: saved[key] for key in log}
        report(f"{recipe.name}: goes on from step {log['step']}")

    started = time.perf_counter() - log["seconds"]
    batches = _batches(recipe, data, seed, log["step"])
    ends = np.unique(np.linspace(0, steps, rounds + 1).round().astype(int))[1:].tolist()
    for end in (end for end in ends if end > log["step"]):
        terms: list[dict[str, Tensor]] = []
        for step in range(log["step"], end):
            _seed(seed, step)
            set_learning_rate(learner, step / steps)
            labeled, unlabeled = next(batches)
            terms.append(
                ssgan_step(learner, labeled.images, labeled.labels, unlabeled.images)
                if recipe.gan
                else supervised_step(learner, labeled.images, labeled.labels)
            )
            if learner.ema:
                learner.ema.update_parameters(learner.classifier)
        means = {name: torch.stack([t[name] for t in terms]).mean().item() for name in terms[0]}
        if not np.isfinite(list(means.values())).all():
            raise FloatingPointError(f"{recipe.name}: not finite before step {end}: {means}")
        model = evaluation_model(learner, data)
        validation = accuracy(learner, model, data, "val")
        log["step"], log["seconds"] = end, time.perf_counter() - started
        epoch = end * _images_per_step(recipe, data) / len(data.photos.rows(_pool(recipe)))
        row = {"step": end, "epoch": epoch, "seconds": log["seconds"], "validation": validation}
        log["history"].append(row | means)
        if validation > log["best"]["validation"]:
            weights = {name: value.clone() for name, value in model.state_dict().items()}
            log["best"] = {"step": end, "validation": validation, "weights": weights}
        if recipe.gan:
            log["samples"][end] = generate(learner, noise)
        if checkpoint:
            states = {name: part.state_dict() for name, part in _parts(learner).items()}
            save_checkpoint(checkpoint, log | states)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
        report(
            f"{recipe.name}: step {end}/{steps}, {log['seconds']:.0f} s, {shown}, "
            f"validation {validation:.1%}"
        )
    return _judge(learner, data, log, seed)


def _judge(learner: Learner, data: PhotoData, log: dict[str, Any], seed: int) -> Fit:
    """The only look at the test images, after all training and all selection."""
    model = evaluation_model(learner, data)
    test_probabilities = probabilities(learner, model, data, "test")
    correct = test_probabilities.argmax(1) == data.labels("test")
    test = {"last": float(correct.mean())}
    test["last_raw"] = accuracy(learner, learner.classifier, data, "test")
    last_weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(log["best"]["weights"])
    test["best"] = accuracy(learner, model, data, "test")
    model.load_state_dict(last_weights)
    return Fit(
        learner.recipe,
        seed,
        pd.DataFrame(log["history"]),
        test,
        log["best"]["step"],
        test_probabilities,
        log["samples"],
        learner,
    )


def _batches(
    recipe: Recipe, data: PhotoData, seed: int, start: int
) -> Iterator[tuple[Batch, Batch | None]]:
    count = len(data.photos.rows("labeled"))
    size = min(recipe.labeled_batch or count, count)
    labeled = data.loader("labeled", size, shuffle=True, seed=seed).stream(start)
    if not recipe.gan:
        return ((batch, None) for batch in labeled)
    unlabeled = data.loader("unlabeled", recipe.unlabeled_batch, shuffle=True, seed=seed)
    return zip(labeled, unlabeled.stream(start), strict=False)


def _parts(learner: Learner) -> dict[str, nn.Module | torch.optim.Optimizer]:
    parts = {
        "classifier": learner.classifier,
        "generator": learner.generator,
        "optimizer": learner.optimizer,
        "generator_optimizer": learner.generator_optimizer,
        "ema": learner.ema,
    }
    return {name: part for name, part in parts.items() if part is not None}


def _pool(recipe: Recipe) -> str:
    return "unlabeled" if recipe.gan else "labeled"


def _images_per_step(recipe: Recipe, data: PhotoData) -> int:
    if recipe.gan:
        return recipe.unlabeled_batch
    return recipe.labeled_batch or len(data.photos.rows("labeled"))


def _seed(seed: int, step: int) -> None:
    torch.manual_seed((seed << 32) + step + 1)
