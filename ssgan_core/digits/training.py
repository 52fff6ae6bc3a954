"""Parameters of trainings on digits; training over many label draws at once, resumable."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ssgan_core import loop
from ssgan_core.checkpoint import checksum
from ssgan_core.device import Hardware, captured, own_random_numbers, set_rate
from ssgan_core.digits.images import CLASSES, Digits
from ssgan_core.digits.networks import digits_pair
from ssgan_core.digits.step import EMA_EVERY, Batch, Density, Recipe, draw_batch, train_step
from ssgan_core.graphs import neighbor_graph, spread
from ssgan_core.intervals import marks
from ssgan_core.settings import Settings

WALL = 100  # generated digits kept for each picture of the wall


class DigitsTraining(Settings):
    """What a training on digits can be asked for."""

    PROFILES: ClassVar = {
        "smoke": {"labels": 10, "batch": 50, "draws": 2, "steps": 20, "budgets": [10, 20]},
        "quick": {"labels": 10, "batch": 50, "draws": 10, "steps": 1200,
                  "budgets": [10, 20, 50, 100]},
        "full": {"labels": 10, "batch": 50, "draws": 10, "steps": 4000,
                 "budgets": [10, 20, 50, 100]},
    }  # fmt: skip
    MNIST: ClassVar = {
        "smoke": {"labels": 100, "batch": 100, "draws": 1, "steps": 10, "budgets": [20, 100]},
        "quick": {"labels": 100, "batch": 100, "draws": 1, "steps": 6000, "budgets": []},
        "full": {"labels": 100, "batch": 100, "draws": 10, "steps": 60_000,
                 "budgets": [20, 50, 100, 1000]},
    }  # fmt: skip

    mnist: str | None = Field(
        None, description="folder that holds MNIST/raw; None: scikit-learn's 8×8 digits"
    )
    labels: int = Field(
        None,
        ge=10,
        le=1000,
        multiple_of=10,
        description="labeled images, shared by the ten classes",
    )
    draws: int = Field(None, ge=1, le=100, description="random labeled sets, each a run of its own")
    steps: int = Field(None, ge=10, le=10**6, description="training steps of each run")
    batch: int = Field(
        None, ge=10, le=10_000, description="unlabeled, and generated, images in a step"
    )
    learning_rate: float = Field(3e-3, gt=0, le=0.1, description="Adam's rate, for both networks")

    @classmethod
    def defaults(cls, profile: str, given: dict[str, Any]) -> dict[str, Any]:
        values = (cls.MNIST if given.get("mnist") else cls.PROFILES).get(profile, {})
        return {name: value for name, value in values.items() if name in cls.model_fields}


class DigitsSettings(DigitsTraining):
    """What the digits chapter can be asked for."""

    generator: Literal["feature_matching", "complement"] = Field(
        "feature_matching", description="loss of the generator in the main comparison"
    )
    budgets: list[Annotated[int, Field(ge=10, multiple_of=10)]] = Field(
        None, description="further numbers of labels, for the label-budget curve"
    )


@dataclass
class Trained:
    """What R runs give, all at the last step.

    `logits` (R, N, outputs) are those of the test images under the EMA of the weights; `accuracy`
    and `last_accuracy` are test accuracies of the EMA and of the last weights. `history`
    (one row an evaluation: step, seconds, mean test accuracies, mean loss terms) and `walls`
    (step to generated images of run 0) are there to be drawn; nothing is chosen by them.
    """

    logits: Tensor
    accuracy: list[float]
    last_accuracy: list[float]
    history: pd.DataFrame
    walls: dict[int, Tensor]

    def values(self, labels: Tensor) -> dict[str, list]:
        """What `metrics.json` keeps, a value a run; `labels` (N,) are those of the test images."""
        runs, end = len(self.accuracy), self.history.iloc[-1]
        return accuracies(self.logits[..., :CLASSES].argmax(-1) == labels) | {
            "last_raw": self.last_accuracy,
            "steps": [int(end.step)] * runs,
            "minutes": [end.seconds / 60 / runs] * runs,
        }


def accuracies(right: Tensor) -> dict[str, list]:
    """Test accuracy `last` and `intervals.marks`, `correct`, of runs that read test images right or
    not (R, N)."""
    return {
        "last": right.double().mean(1).tolist(),
        "correct": [marks(run) for run in right.tolist()],
    }


def train(
    digits: Digits,
    rows: Tensor,
    recipe: Recipe,
    seed: int = 0,
    checkpoint: Path | None = None,
    evaluations: int = 8,
    report: Callable[[str], None] = print,
    hardware: Hardware | None = None,
) -> Trained:
    """Train R runs side by side, run r with the labeled rows `rows[r]` (R, n), as `loop.run` does.

    A finished run is read back from `checkpoint`. The test set is looked at `evaluations` times
    for the history.
    """
    hardware = hardware or Hardware.detect()
    device, runs = hardware.device, len(rows)
    on_gpu, outputs = device.type == "cuda", CLASSES + recipe.form.extra
    identity = {
        "name": recipe.method,
        "recipe": {name: str(value) for name, value in vars(recipe).items() if name != "form"},
        "outputs": outputs,
        "digits": digits.checksum,
        "labeled": [*rows.shape, checksum(rows)],
    }
    with own_random_numbers():
        loop.seed_step(seed, -1)
        generator, discriminator = digits_pair(digits.side, runs, outputs, recipe.norm_logits)
        discriminator.standardize(digits.images[:500])
    networks = generator.to(device), discriminator.to(device)
    averaged = AveragedModel(discriminator, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    optimizers = tuple(
        torch.optim.Adam(
            n.parameters(),
            hardware.rate(recipe.learning_rate),
            (0.5, 0.999),
            fused=True,
            capturable=on_gpu,
        )
        for n in networks
    )
    images, labels, rows = (part.to(device) for part in (digits.images, digits.labels, rows))
    test_images, test_labels = digits.test_images.to(device), digits.test_labels.to(device)
    density = Density.fit(digits.images).to(device) if recipe.weights.low_density else None

    def one(stage: None, late: Tensor | float, *batch: Tensor) -> dict[str, Tensor]:
        how = (recipe, late, hardware, density, averaged)
        return train_step(*networks, optimizers, Batch(*batch), *how)

    # VAT asks for the same noise again and again, of which a graph knows nothing.
    take = one if recipe.weights.vat else captured(one, device)

    def step(number: int, progress: float) -> dict[str, Tensor]:
        batch, late = draw_batch(images, labels, rows, recipe.batch), recipe.late(number)
        for optimizer in optimizers:
            set_rate(optimizer, recipe.learning_rate * recipe.rate(number))
        terms = take(None, torch.tensor(late, device=device) if on_gpu else late, *batch)
        if (number + 1) % EMA_EVERY == 0:
            averaged.update_parameters(discriminator)
        return {name: term.mean() for name, term in terms.items()}

    def test(network: nn.Module) -> tuple[Tensor, list[float]]:
        logits = predict(network, test_images, runs, hardware)
        right = logits[..., :CLASSES].argmax(-1) == test_labels
        return logits.cpu(), right.double().mean(1).tolist()

    @torch.no_grad()
    def wall() -> Tensor:
        with own_random_numbers():
            loop.seed_step(seed, -1)
            return generator.sample(WALL)[0].cpu()

    def evaluate(number: int, progress: float) -> dict[str, float]:
        if recipe.weights.gan:
            walls[number] = wall()
        tested = {"accuracy": averaged, "last accuracy": discriminator}
        return {name: sum(test(network)[1]) / runs for name, network in tested.items()}

    walls = loop.Kept({0: wall()} if recipe.weights.gan else {})
    parts = {"generator": generator, "discriminator": discriminator, "averaged": averaged}
    parts |= {"optimizer 0": optimizers[0], "optimizer 1": optimizers[1], "walls": walls}
    history = loop.run(
        parts, step, evaluate, identity, steps=recipe.steps, evaluations=evaluations, seed=seed,
        checkpoint=checkpoint, report=report,
    )  # fmt: skip
    logits, accuracy = test(averaged)
    return Trained(logits, accuracy, test(discriminator)[1], history, dict(walls))


@torch.no_grad()
def predict(network: nn.Module, images: Tensor, runs: int, hardware: Hardware) -> Tensor:
    """Logits (R, N, outputs) of images (N, P), without noise."""
    network.eval()
    with hardware.autocast():
        parts = [network(part.expand(runs, -1, -1))[0].float() for part in images.split(1000)]
    network.train()
    return torch.cat(parts, 1)


def spread_labels(digits: Digits, rows: Tensor) -> Tensor:
    """Test classes (R, N) by label spreading over all training images, no network at all.

    A test image has the class of its nearest neighbors. Tried on the images and draws held out for
    `step.METHODS`: 88 to 89 % with 10 labels for 4 to 7 neighbors and alpha 0.9 to 0.99, 83 with
    scikit-learn's graph and alpha.
    """
    images = digits.images.numpy()
    graph, near = neighbor_graph(images), neighbor_graph(images, digits.test_images.numpy())
    predictions = []
    for labeled in rows:
        classes = np.full(len(images), -1)
        classes[labeled] = digits.labels[labeled]
        predictions.append(torch.from_numpy((near @ spread(graph, classes)).argmax(1)))
    return torch.stack(predictions)
