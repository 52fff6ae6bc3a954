"""Speed of a training step of the article's recipe against the loop as it is usually written.

python -m ssgan_core.bench.step --size 224
"""

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from ssgan_core.bench.timing import floors, race, synchronize
from ssgan_core.device import Hardware, keep_freed_memory
from ssgan_core.graphs import fast
from ssgan_core.photos.networks import LADDERS
from ssgan_core.results import device_name
from ssgan_core.ssgan.recipes import ARTICLE, Recipe
from ssgan_core.ssgan.step import BETAS, Learner, make_learner, ssgan_step

Batches = tuple[Tensor, Tensor, Tensor]
KEPT = "reference, memory kept"


class Reference:
    """The same mathematics in float32 and the default layout, pass by pass.

    Images become floats on the host; each term has its own forward and backward pass, the
    generator makes its images once for each network, and every loss is fetched as it appears.
    It starts from a learner's weights and draws the same noise.
    """

    def __init__(self, learner: Learner):
        self.device, rate = learner.hardware.device, learner.rate
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


@dataclass(frozen=True)
class Setting:
    """What a step is timed on: sides and widths as `make_both` has them, images in a step."""

    size: int
    width: int
    generator_width: int
    labels: int
    unlabeled: int
    hardware: Hardware

    def step(self, name: str) -> Callable[[], object]:
        """A step of one of the loops that `compare` names."""
        torch.manual_seed(0)
        batches = random_batches(self.size, self.labels, self.unlabeled)
        reference, learner = make_both(
            ARTICLE, self.size, self.width, self.generator_width, self.hardware
        )
        if name == "ours":
            step = fast(learner, ssgan_step)
            return lambda: step(*batches)
        return lambda: reference.step(*batches)


def compare(setting: Setting, rounds: int = 3, steps: int = 2) -> pd.DataFrame:
    """Steps and images a second of the reference and of ours, and their ratio.

    `race` says how they are timed. Each has a process of its own, because ours keeps freed memory
    for the whole process, as `fit` does; a row in between has a reference that keeps it too.
    """
    with ExitStack() as stack:
        calls = {}
        for name in ("reference", KEPT, "ours"):
            alone = stack.enter_context(ProcessPoolExecutor(1, get_context("spawn")))
            calls[name] = lambda name=name, alone=alone: alone.submit(
                _take, name, setting, steps
            ).result()
        seconds = pd.Series(race(calls, rounds, 1)) / steps
    frame = pd.DataFrame({"steps/s": 1 / seconds})
    frame["images/s"] = frame["steps/s"] * (setting.labels + setting.unlabeled)
    frame["times reference"] = frame["steps/s"] / frame.loc["reference", "steps/s"]
    return frame


@cache
def _loop(name: str, setting: Setting) -> Callable[[], object]:
    """The step of a loop, made once in the process that runs it."""
    if name != "reference":
        keep_freed_memory()
    return setting.step(name)


def _take(name: str, setting: Setting, steps: int) -> None:
    step = _loop(name, setting)
    for _ in range(steps):
        step()
    synchronize()


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
    setting = Setting(
        given.size, given.width, 8 * given.width, given.labels, given.unlabeled, hardware
    )
    print(f"{device_name()}, {'bf16' if hardware.bf16 else 'fp32'}, {given.size} px, "
          f"{given.labels} labeled and {given.unlabeled} unlabeled images a step")  # fmt: skip
    table = compare(setting, given.rounds, given.steps)
    print(table.round(3).to_string())
    seconds = 1 / table.loc["ours", "steps/s"]
    print(floors(setting.step("ours"), seconds, hardware).round(3).to_string())


if __name__ == "__main__":
    sys.exit(main())
