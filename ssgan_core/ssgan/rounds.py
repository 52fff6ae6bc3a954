"""The end of a round of training: how good the model is by now, and what to say about it."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torchvision.io import write_png
from torchvision.utils import make_grid

from ssgan_core.parallel import average, rank
from ssgan_core.ssgan.evaluate import PhotoData, accuracy, evaluation_model, generate
from ssgan_core.ssgan.recipes import Recipe
from ssgan_core.ssgan.step import Learner
from ssgan_core.watch import COLLAPSED, remaining, variety

SAMPLES = 40  # images generated after each round, always from the same noise


def finish_round(
    learner: Learner,
    data: PhotoData,
    log: dict[str, Any],
    noise: Tensor | None,
    pictures: Path | None,
) -> None:
    """Evaluate, remember the best weights, and show what the generator makes.

    `log` is what `fit` keeps of a training, and changes here; `noise` (SAMPLES, …) is given for
    recipes with a generator, whose images go to the folder `pictures`.
    """
    recipe, step = learner.recipe, log["step"]
    means = mean_terms(recipe, log)
    model = evaluation_model(learner, data)
    validation = accuracy(learner, model, data, "val")
    pool = "unlabeled" if recipe.unlabeled else "labeled"
    epoch = step * data.batch_sizes(recipe)[pool] / len(data.photos.rows(pool))
    row = {"step": step, "epoch": epoch, "seconds": log["seconds"], "validation": validation}
    if learner.reduction == 1 and validation > log["best"]["validation"]:
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        log["best"] = {"step": step, "validation": validation, "weights": weights}
    if recipe.gan:
        samples = log["samples"][step] = generate(learner, noise.to(learner.hardware.device))
        row["variety"] = variety(samples, data.images[data.photos.rows("unlabeled")[:250]])
        if pictures and rank() == 0:
            pictures.mkdir(parents=True, exist_ok=True)
            write_png(make_grid(samples, nrow=10), str(sample_file(pictures, step)))
    log["history"].append(row | means)
    log["sums"] = {}


def sample_file(pictures: Path, step: int) -> Path:
    """The image, in the folder `pictures`, of what the generator made after so many steps."""
    return pictures / f"generated-{step:07d}.png"


def mean_terms(recipe: Recipe, log: dict[str, Any]) -> dict[str, float]:
    """Mean of each term since the last round, over the steps that had it.

    FloatingPointError where one is not finite.
    """
    sums = log["sums"].items()
    means = {name: average(total / count).item() for name, (total, count) in sums}
    if not np.isfinite(list(means.values())).all():
        raise FloatingPointError(
            f"{recipe.name}: not finite before step {log['step']}: {means}; a lower learning rate "
            "or another seed may help"
        )
    return means


def status(recipe: Recipe, log: dict[str, Any], steps: int | None, progress: float) -> str:
    """Progress in a line: step, time, terms and accuracy of the last round, a warning."""
    words = [f"step {log['step']}" + (f"/{steps}" if steps else ""), f"{log['seconds']:.0f} s"]
    if progress < 1:
        words.append(remaining(log["seconds"], progress))
    if log["history"]:
        row = dict(log["history"][-1])
        for name in ("step", "epoch", "seconds"):
            row.pop(name)
        words.append(f"validation {row.pop('validation'):.1%}")
        words += [f"{name} {value:.3f}" for name, value in row.items()]
        if log["rounds"] > 1 and row.get("variety", 1) < COLLAPSED:
            words.append("generated images are nearly all alike: the generator has collapsed")
    return f"{recipe.name}: " + ", ".join(words)
