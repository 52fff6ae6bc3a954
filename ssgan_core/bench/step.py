"""Speed of a training step of the article's recipe against the loop as it is usually written."""

import resource
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache, partial
from multiprocessing import get_context
from typing import ClassVar, Literal

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from ssgan_core.bench.timing import race, synchronize
from ssgan_core.device import EAGER, Hardware, captured, keep_freed_memory
from ssgan_core.photos.networks import LADDERS
from ssgan_core.process import end_with_parent
from ssgan_core.settings import Settings
from ssgan_core.ssgan.recipes import ARTICLE
from ssgan_core.ssgan.step import BETAS, Learner, Stage, make_learner, ssgan_step

Batches = tuple[Tensor, Tensor, Tensor]
KEPT = "reference, memory kept"
WARM_UP = EAGER + 1  # steps, the last of which is captured on a GPU


class StepSettings(Settings):
    """Parameters of the chapter on how fast a step is."""

    PROFILES: ClassVar = {
        "smoke": {"size": 32, "width": 8, "labels": 8, "unlabeled": 8, "rounds": 1, "steps": 1},
        "quick": {"size": 64, "width": 16, "labels": 100, "unlabeled": 64, "rounds": 3, "steps": 1},
        "full": {"size": 224, "width": 64, "labels": 100, "unlabeled": 64, "rounds": 5, "steps": 5},
    }
    mnist: str | None = Field(
        None, description="folder that holds MNIST/raw; None: scikit-learn's 8×8 digits"
    )
    size: Literal[tuple(LADDERS)] = Field(None, description="side of an image in pixels")
    width: int = Field(None, ge=8, le=64, description="channels of the first stage; ResNet-18: 64")
    labels: int = Field(None, ge=2, le=1000, description="labeled images in a step")
    unlabeled: int = Field(None, ge=2, le=1000, description="unlabeled images in a step")
    rounds: int = Field(None, ge=1, le=100, description="rounds of each loop; the fastest counts")
    steps: int = Field(None, ge=1, le=100, description="steps on photographs in a round")


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


def losses_of_both(size: int, width: int, labels: int, unlabeled: int, steps: int) -> pd.DataFrame:
    """Loss terms of the reference and of our step, trained side by side in fp32 on the CPU.

    A row a step and term, columns "plain" and "ours". Both start from the same weights and draw the
    same noise. At a twentieth of the article's rate: Adam's first steps have the gradient's sign,
    not its size, so that rounding alone drives two trainings apart, in proportion to the rate.
    """
    torch.manual_seed(0)
    recipe, hardware = replace(ARTICLE, learning_rate=1e-4), Hardware(torch.device("cpu"), False)
    learner = make_learner(recipe, size, width, 4 * width, 2, hardware)
    reference, batches = Reference(learner), random_batches(size, labels, unlabeled)
    rows = {}
    for step in range(steps):
        torch.manual_seed(step)
        plain = reference.step(*batches)
        torch.manual_seed(step)
        ours = ssgan_step(learner, Stage(), *batches)
        rows |= {(step, term): (value, ours[term].item()) for term, value in plain.items()}
    index = pd.MultiIndex.from_tuples(rows, names=["step", "term"])
    return pd.DataFrame(list(rows.values()), index, columns=["plain", "ours"])


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
        calls, starting = {}, []
        for name in ("reference", KEPT, "ours"):
            pool = ProcessPoolExecutor(1, get_context("spawn"), end_with_parent)
            alone = stack.enter_context(pool)
            starting.append(alone.submit(_loop, name, setting))  # all at once: importing takes long
            calls[name] = lambda name=name, alone=alone: alone.submit(
                _take, name, setting, steps
            ).result()
        for started in starting:
            started.exception()
        seconds = pd.Series(race(calls, rounds, 1)) / steps
    frame = pd.DataFrame({"steps/s": 1 / seconds})
    frame["images/s"] = frame["steps/s"] * (setting.labels + setting.unlabeled)
    frame["times reference"] = frame["steps/s"] / frame.loc["reference", "steps/s"]
    return frame


def side_by_side(setting: Setting, counts: Sequence[int], rounds: int, steps: int) -> pd.DataFrame:
    """Images a second of so many trainings at once, each in a process of its own, by `race`.

    Memory is what the largest process has taken: of the GPU, or without one of the machine.
    """
    with ExitStack() as stack:
        pools = [
            stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"), end_with_parent))
            for _ in range(max(counts))
        ]
        for ready in [pool.submit(_take, "ours", setting, WARM_UP) for pool in pools]:
            ready.result()

        def together(count: int) -> None:
            for done in [pool.submit(_take, "ours", setting, steps) for pool in pools[:count]]:
                done.result()

        calls = {str(count): partial(together, count) for count in counts}
        seconds = pd.Series(race(calls, rounds, 1)) / steps
        memory = max(pool.submit(_memory).result() for pool in pools)
    frame = pd.DataFrame({"steps/s": [int(count) / each for count, each in seconds.items()]})
    frame.index = pd.Index(counts, name="trainings at once")
    frame["images/s"] = frame["steps/s"] * (setting.labels + setting.unlabeled)
    frame["times the first"] = frame["steps/s"] / frame["steps/s"].iloc[0]
    frame["memory of one (GB)"] = memory / 2**30
    return frame


def _memory() -> int:
    """Bytes that this process has taken at most."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


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
