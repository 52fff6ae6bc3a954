"""The loop around the steps: rounds, checkpoints, the best and the last model."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from ssgan_core.checkpoint import resume_checkpoint, save_checkpoint, seed_step
from ssgan_core.errors import InputError
from ssgan_core.graphs import fast
from ssgan_core.hardware import Hardware, keep_freed_memory
from ssgan_core.parallel import agree, rank, share, world
from ssgan_core.photos.loader import Batch
from ssgan_core.ssgan.evaluate import PhotoData, accuracy, evaluation_model, probabilities
from ssgan_core.ssgan.recipes import Recipe
from ssgan_core.ssgan.rounds import SAMPLES, finish_round, mean_terms, status
from ssgan_core.ssgan.step import (
    Learner,
    make_learner,
    set_schedule,
    ssgan_step,
    supervised_step,
)
from ssgan_core.watch import graceful_stop

SAVE_MINUTES = 5.0  # between two checkpoints


@dataclass
class Fit:
    """What one training returns.

    `history` has one row a round: step, epoch, mean loss terms, validation accuracy, seconds, and
    with a generator the `variety` of its images. `test` has the test accuracy of three models:
    `last` (averaged weights where the recipe averages), `last_raw` (the weights of the last step)
    and `best` (like `last`, at the round of the best validation accuracy, `best_step`; rounds that
    were judged on smaller images, as `Recipe.small_first` has them, do not compete).
    `model` is the network of `last`, `probabilities` (T, K) what it says of the test images.
    `samples` maps a round's step to generated images (40, 3, S, S), uint8.
    """

    recipe: Recipe
    seed: int
    history: pd.DataFrame
    test: dict[str, float]
    best_step: int
    probabilities: np.ndarray
    samples: dict[int, Tensor]
    learner: Learner
    model: nn.Module


def fit(
    recipe: Recipe,
    data: PhotoData,
    steps: int | None = None,
    *,
    max_minutes: float | None = None,
    width: int = 64,
    generator_width: int = 512,
    rounds: int = 10,
    seed: int = 0,
    checkpoint: Path | None = None,
    pictures: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Fit:
    """Train a recipe; evaluate on the validation images after each of so many rounds.

    Training ends after `steps` or after `max_minutes` (those of earlier runs that it goes on from
    counted), whichever comes first; the learning rate falls along that one. It is saved to
    `checkpoint` after each round, every five minutes and at Ctrl-C, and goes on from there; an
    image of generated samples goes to the folder `pictures` after each round.

    Every random number of a step depends on the seed and the step alone, so a training that goes
    on from its checkpoint computes, on a CPU and with `steps` alone, exactly what it would have
    computed uninterrupted.

    Raises
    ------
    InputError
        A split is empty, the checkpoint is another training's, or the processes of `torchrun`
        cannot share the batches evenly.
    FloatingPointError
        A loss is no longer a number; the last checkpoint is kept.
    KeyboardInterrupt
        After Ctrl-C, once the step is done and everything saved.
    """
    _check(recipe, data, steps, max_minutes)
    seed_step(seed, -1)
    size, classes = data.images.shape[-1], data.photos.classes
    keep_freed_memory()
    learner = make_learner(recipe, size, width, generator_width, len(classes), Hardware.detect())
    data = data.on(learner.hardware.device)
    noise = torch.randn(SAMPLES, learner.generator.noise) if recipe.gan else None
    report = report if rank() == 0 else lambda line: None
    identity = recipe.settings | {
        "recipe": recipe.name,
        "classes": list(classes),
        "photos": _fingerprint(data),
        "size": size,
        "width": width,
        "generator_width": generator_width,
        "rounds": rounds,
        "steps": steps,
        "max_minutes": max_minutes,
        "seed": seed,
    }
    log = _resume(learner, checkpoint, identity)
    if log["step"]:
        report(f"{recipe.name}: goes on from step {log['step']}")
    log["identity"] = identity
    started = time.perf_counter() - log["seconds"]
    saved = time.perf_counter()
    batches = _batches(recipe, data, seed, log["step"])
    step = fast(learner, ssgan_step if recipe.unlabeled else supervised_step)

    def progress() -> float:
        by_time = log["seconds"] / (60 * max_minutes) if max_minutes else 0.0
        return min(1.0, max(by_time, log["step"] / steps if steps else 0.0))

    with graceful_stop() as stop:
        while progress() < 1 or log["rounds"] < rounds:  # time may run out while evaluating
            seed_step(seed, log["step"])
            set_schedule(learner, progress(), log["step"])
            labeled, unlabeled = next(batches)
            batch = [labeled.images, labeled.labels]
            if recipe.unlabeled:
                batch.append(unlabeled.images)
            terms = step(*map(share, batch))
            if learner.ema:
                learner.ema.update_parameters(learner.classifier)
            for name, term in terms.items():
                total, count = log["sums"].get(name, (0.0, 0))
                log["sums"][name] = (total + term.double(), count + 1)
            log["step"] += 1
            now = time.perf_counter()
            log["seconds"], due, asked = agree(
                now - started, now - saved > 60 * SAVE_MINUTES, stop.asked
            )
            round_over = int(progress() * rounds + 1e-9) > log["rounds"]
            if round_over:
                set_schedule(learner, progress(), log["step"])
                finish_round(learner, data, log, noise, pictures)
                log["rounds"] = int(progress() * rounds + 1e-9)
                log["seconds"] = agree(time.perf_counter() - started)[0]
            if not (round_over or due or asked):
                continue
            mean_terms(recipe, log)  # raises where a term is not finite, which is never saved
            if checkpoint and rank() == 0:
                states = {name: part.state_dict() for name, part in _parts(learner).items()}
                save_checkpoint(checkpoint, log | states)
            saved = time.perf_counter()
            report(status(recipe, log, steps, progress()))
            if asked:
                where = f"saved in {checkpoint}; the same command goes on from there"
                report(f"{recipe.name}: stopped, {where if checkpoint else 'nothing saved'}")
                raise KeyboardInterrupt
    return _judge(learner, data, log, seed)


def _check(recipe: Recipe, data: PhotoData, steps: int | None, max_minutes: float | None) -> None:
    """InputError where the training cannot start."""
    if not steps and not max_minutes:
        raise InputError("neither steps nor max_minutes says when training ends; give one")
    for split in ("labeled", "val", "test", *(["unlabeled"] if recipe.unlabeled else [])):
        if not len(data.photos.rows(split)):
            raise InputError(f"split {split!r} has no photo; every split needs at least one")
    for split, batch in data.batch_sizes(recipe).items():
        if batch % world():
            raise InputError(
                f"{world()} processes cannot share a batch of {batch} {split} photos evenly"
            )


def _resume(learner: Learner, checkpoint: Path | None, identity: dict[str, Any]) -> dict[str, Any]:
    """What is known of the training so far; its networks and optimizers as they were."""
    log: dict[str, Any] = {"step": 0, "seconds": 0.0, "rounds": 0, "sums": {}, "history": []}
    log |= {"samples": {}, "best": {"step": 0, "validation": -1.0, "weights": {}}}
    saved = resume_checkpoint(checkpoint, identity)
    if not saved:
        return log
    for name, part in _parts(learner).items():
        state = saved[name]
        if isinstance(part, torch.optim.Optimizer):  # as this device wants it, not the saved one
            state = state | {"param_groups": part.state_dict()["param_groups"]}
        part.load_state_dict(state)
    return {key: saved[key] for key in log}


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
        model,
    )


def _batches(
    recipe: Recipe, data: PhotoData, seed: int, start: int
) -> Iterator[tuple[Batch, Batch | None]]:
    sizes = data.batch_sizes(recipe)
    labeled = data.loader("labeled", sizes["labeled"], shuffle=True, seed=seed).stream(start)
    if not recipe.unlabeled:
        return ((batch, None) for batch in labeled)
    unlabeled = data.loader("unlabeled", sizes["unlabeled"], shuffle=True, seed=seed)
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


def _fingerprint(data: PhotoData) -> str:
    """Which photos lie in which split, and how they are labeled."""
    columns = data.photos.table[["path", "label", "split"]]
    return hashlib.sha256(columns.to_csv().encode()).hexdigest()[:12]
