"""Speed of a training step of the article's recipe against the loop as it is usually written."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from ssgan_core.bench.timing import end_with_parent, race, synchronize
from ssgan_core.device import Hardware, captured, keep_freed_memory
from ssgan_core.ssgan.recipes import ARTICLE
from ssgan_core.ssgan.step import BETAS, Learner, Stage, make_learner, ssgan_step

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


@dataclass(frozen=True)
class Setting:
    """What a step is timed on: side and classifier's first channels, images in a step."""

    size: int
    width: int
    labels: int
    unlabeled: int
    hardware: Hardware

    def step(self, name: str) -> Callable[[], object]:
        """A step of one of the loops that `speeds` names."""
        torch.manual_seed(0)
        batches = random_batches(self.size, self.labels, self.unlabeled)
        learner = make_learner(ARTICLE, self.size, self.width, 8 * self.width, 2, self.hardware)
        if name != "ours":
            return partial(Reference(learner).step, *batches)
        step = captured(partial(ssgan_step, learner), self.hardware.device)
        return partial(step, Stage(), *batches)


def speeds(setting: Setting, rounds: int = 3, steps: int = 2) -> pd.DataFrame:
    """Steps and images a second of the reference and of ours, and their ratio, by `race`.

    Each has a process of its own, because ours keeps freed memory for the whole process, as the
    command that trains does; a row in between has a reference that keeps it too.
    """
    with ExitStack() as stack:
        calls = {}
        for name in ("reference", KEPT, "ours"):
            pool = ProcessPoolExecutor(1, get_context("spawn"), end_with_parent)
            alone = stack.enter_context(pool)
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
    """So many steps, to their end: the GPU works for this process, where `race` cannot wait."""
    step = _loop(name, setting)
    for _ in range(steps):
        step()
    synchronize()
