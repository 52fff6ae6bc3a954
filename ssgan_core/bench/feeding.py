"""How long a training step waits for its images, by the way they are fed to it."""

import time
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from ssgan_core.bench.timing import synchronize
from ssgan_core.device import Hardware
from ssgan_core.photos.decode import decode_rows, to_range
from ssgan_core.photos.loader import Batch, Loader, PhotoStream, PixelRange, Source
from ssgan_core.photos.networks import LADDERS
from ssgan_core.settings import Settings
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.ssgan.settings import SSGANSettings
from ssgan_core.ssgan.step import Learner, make_learner, schedule, ssgan_step

WARM_UP = 2  # steps before the clock starts: the first ones allocate
LABELED = 100


def _training(profile: str) -> dict[str, int]:
    """The image size and the networks of the chapter on the semi-supervised GAN."""
    chosen = SSGANSettings.PROFILES[profile]
    return {name: chosen[name] for name in ("size", "width", "generator_width")}


class FeedingSettings(Settings):
    """Parameters of the measurements of loading."""

    PROFILES: ClassVar = {
        "smoke": {"pets": 200, "pet_size": 64, "count": 200, "repeats": 1, "steps": 2}
        | _training("smoke"),
        "quick": {"pets": 600, "pet_size": 180, "count": 600, "repeats": 2, "steps": 12}
        | _training("quick"),
        "full": {"pets": 8000, "pet_size": 180, "count": 8000, "repeats": 2, "steps": 40}
        | _training("full"),
    }
    photos: str | None = Field(None, description="folder of photos; None: drawn pets")
    backend: Literal["auto", "dali", "dali-cpu", "torchvision"] = Field(
        "auto", description="decoder of the loader; auto: the best that works here"
    )
    threads: int | None = Field(
        None, ge=1, description="decoding threads or workers; None: one a core"
    )
    count: int = Field(None, ge=2 * LABELED, description="photos to measure with, at most")
    repeats: int = Field(None, ge=1, description="passes of each loader; the fastest counts")
    pets: int = Field(None, ge=2 * LABELED, description="pets to draw where no photos are given")
    pet_size: int = Field(None, ge=64, le=224, description="side of a drawn pet in pixels")
    size: Literal[tuple(LADDERS)] = Field(None, description="side of an image in training")
    width: int = Field(None, ge=8, le=64, description="channels of the first stage; ResNet-18: 64")
    generator_width: int = Field(None, ge=16, le=1024, description="generator's first channels")
    steps: int = Field(None, ge=1, description="training steps to time with each loader")


class OnDemand(PhotoStream):
    """Photos decoded when they are asked for, while the training step waits: no prefetching."""

    def decode(self, batches: Iterable[np.ndarray], pixel_range: PixelRange) -> Iterator[Tensor]:
        for rows in batches:
            yield to_range(decode_rows(self.photos, rows, self.size).images, pixel_range)


def feed(source: Source, seed: int) -> Iterator[tuple[Batch, Batch]]:
    """Labeled and unlabeled batches of the book's recipe, side by side and without end."""
    recipe = find_recipe("ssgan")
    rows = np.random.default_rng(seed).permutation(len(source.targets))
    known = rows[np.asarray(source.targets)[rows] >= 0][:LABELED]
    others = np.setdiff1d(rows, known)
    labeled = Loader(source, known, recipe.labeled_batch, shuffle=True, seed=seed)
    unlabeled = Loader(source, others, recipe.unlabeled_batch, shuffle=True, seed=seed)
    return zip(labeled.stream(), unlabeled.stream(), strict=True)


def make_ssgan(settings: FeedingSettings, classes: int) -> Learner:
    """The networks that the chapter on the semi-supervised GAN trains, at this size."""
    torch.manual_seed(settings.seed)
    widths = (settings.width, settings.generator_width)
    return make_learner(find_recipe("ssgan"), settings.size, *widths, classes, Hardware.detect())


def trace(batches: Iterator[tuple[Batch, Batch]], learner: Learner, steps: int) -> pd.DataFrame:
    """Train for so many steps, by the clock: seconds since the first of them, a row a step.

    `asked` for images, `ready`: they came, `done`: the step was computed (on a GPU too). Two
    steps before the clock starts are not shown.
    """
    rows = []  # no `race`: what is measured are the moments within one training, not its best
    for number in range(WARM_UP + steps):
        stage = schedule(learner, 1.0, number)  # whole images; generated ones as in training
        asked = time.perf_counter()
        labeled, unlabeled = next(batches)
        ready = time.perf_counter()
        ssgan_step(learner, stage, labeled.images, labeled.labels, unlabeled.images)
        synchronize()
        rows.append((asked, ready, time.perf_counter()))
    frame = pd.DataFrame(rows[WARM_UP:], columns=["asked", "ready", "done"])
    return frame - frame["asked"].iloc[0]


def waiting(times: pd.DataFrame) -> pd.Series:
    """Of a trace: mean milliseconds a step waits and computes, and the share that is waiting."""
    wait = (times["ready"] - times["asked"]).sum()
    compute = (times["done"] - times["ready"]).sum()
    return pd.Series(
        {
            "waiting (ms)": 1000 * wait / len(times),
            "computing (ms)": 1000 * compute / len(times),
            "share of waiting": wait / (wait + compute),
        }
    )
