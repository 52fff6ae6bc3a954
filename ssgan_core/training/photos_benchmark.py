"""Speed of a training step of the article's recipe against the loop as it is usually written.

python -m ssgan_core.training.photos_benchmark --size 224
"""

import argparse
import sys
from collections.abc import Callable
from copy import deepcopy

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from ssgan_core.models.generator import LADDERS
from ssgan_core.results import device_name
from ssgan_core.training.hardware import Hardware, keep_freed_memory
from ssgan_core.training.photos import BETAS, Learner, make_learner, ssgan_step
from ssgan_core.training.recipes import ARTICLE, Recipe
from ssgan_core.training.timing import floors, race

Batches = tuple[Tensor, Tensor, Tensor]


class Reference:
    """The same mathematics in float32 and the default layout, pass by pass.

    Images become floats on the host; each term has its own forward and backward pass, the
    generator makes its images once for each network, and every loss is fetched as it appears.
    It starts from a learner's weights and draws the same noise.
    """

    def __init__(self, learner: Learner):
        self.device, rate = learner.hardware.device, learner.recipe.learning_rate
        self.classifier, self.generator = (
            deepcopy(network).to(memory_format=torch.contiguous_format)
            for network in (learner.classifier, learner.generator)
        )
        self.optimizer, self.generator_optimizer = (
            torch.optim.Adam(network.parameters(), rate, BETAS, foreach=False)
            for network in (self.classifier, self.generator)
        )

    def step(self, images: Tensor, labels: Tensor, unlabeled: Tensor) -> dict[str, float]:
        """One step: images (B, 3, S, S) uint8, labels (B,), unlabeled (U, 3, S, S) uint8."""
        noise = torch.randn(len(unlabeled), self.generator.noise, device=self.device)
        terms = {}
        self.optimizer.zero_grad(set_to_none=False)
        logits, _ = self.classifier((images.float() / 255).to(self.device))
        terms["labeled"] = _backward(cross_entropy(logits, labels.to(self.device)))
        logits, _ = self.classifier((unlabeled.float() / 255).to(self.device))
        terms["real"] = _backward(softplus(-logits.logsumexp(1)).mean() / 2)
        logits, _ = self.classifier((self.generator(noise).detach() + 1) / 2)
        terms["fake"] = _backward(softplus(logits.logsumexp(1)).mean() / 2)
        self.optimizer.step()

        self.generator_optimizer.zero_grad(set_to_none=False)
        logits, _ = self.classifier((self.generator(noise) + 1) / 2)
        terms["generator"] = _backward(softplus(-logits.logsumexp(1)).mean())
        self.generator_optimizer.step()
        return terms


def _backward(loss: Tensor) -> float:
    loss.backward()
    return loss.item()


def random_batches(size: int, labels: int, unlabeled: int) -> Batches:
    """Labeled images, their labels and unlabeled images of noise, uint8."""
    known, unknown = (
        torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8) for n in (labels, unlabeled)
    )
    return known, torch.arange(labels) % 2, unknown


def make_both(
    recipe: Recipe, size: int, width: int, generator_width: int, hardware: Hardware
) -> tuple[Reference, Learner]:
    """The reference and our learner of the article's recipe (at any rate), of equal weights."""
    learner = make_learner(recipe, size, width, generator_width, 2, hardware)
    return Reference(learner), learner


def compare(
    batches: Batches,
    both: tuple[Reference, Learner],
    rounds: int = 3,
    steps: int = 2,
) -> pd.DataFrame:
    """Steps and images a second of both, and their ratio; `race` says how they are timed."""
    reference, learner = both
    calls: dict[str, Callable[[], object]] = {
        "reference": lambda: reference.step(*batches),
        "ours": lambda: ssgan_step(learner, *batches),
    }
    frame = pd.DataFrame({"steps/s": 1 / pd.Series(race(calls, rounds, steps))})
    frame["images/s"] = frame["steps/s"] * (len(batches[0]) + len(batches[2]))
    frame["times reference"] = frame["steps/s"] / frame.loc["reference", "steps/s"]
    return frame


def main() -> None:
    """The command: prints the table, and what of a step of ours no machine like this can save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, choices=list(LADDERS), default=64)
    parser.add_argument("--width", type=int, default=64, help="classifier's first channels")
    parser.add_argument("--labels", type=int, default=100, help="labeled images in a step")
    parser.add_argument("--unlabeled", type=int, default=64, help="unlabeled images in a step")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2, help="steps timed in a round")
    given = parser.parse_args()
    hardware = Hardware.detect()
    keep_freed_memory()
    torch.manual_seed(0)
    batches = random_batches(given.size, given.labels, given.unlabeled)
    both = make_both(ARTICLE, given.size, given.width, 8 * given.width, hardware)
    print(f"{device_name()}, {'bf16' if hardware.bf16 else 'fp32'}, {given.size} px, "
          f"{given.labels} labeled and {given.unlabeled} unlabeled images a step")  # fmt: skip
    table = compare(batches, both, given.rounds, given.steps)
    print(table.round(3).to_string())
    seconds = 1 / table.loc["ours", "steps/s"]
    print(floors(lambda: ssgan_step(both[1], *batches), seconds, hardware).round(3).to_string())


if __name__ == "__main__":
    sys.exit(main())
