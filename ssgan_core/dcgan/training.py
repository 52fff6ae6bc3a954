"""Training a DCGAN: its parameters, the alternating step, and the loop around it.

Radford et al. 2016, arXiv:1511.06434, with remedies that are off by default.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from ssgan_core import loop, losses
from ssgan_core.checkpoint import checksum
from ssgan_core.dcgan.networks import Discriminator
from ssgan_core.device import Hardware, captured, descend, own_random_numbers
from ssgan_core.photos.augment import augment
from ssgan_core.photos.decode import to_range
from ssgan_core.photos.loader import Schedule
from ssgan_core.photos.networks import LADDERS, Generator, draw
from ssgan_core.photos.photoset import ImageSettings

BETAS = (0.5, 0.999)
PIXELS = (-1.0, 1.0)  # black and white, tanh's range
TERMS = ("discriminator", "generator", "D(real)", "D(fake)")
SAMPLES = 24  # images generated at each evaluation, always from the same noise
STATISTICS_BATCHES = 4  # of noise, to measure the averaged generator's batch-norm statistics on


class DCGANSettings(ImageSettings):
    """What the DCGAN chapter can be asked for."""

    PROFILES: ClassVar = {
        "smoke": {"size": 32, "width": 32, "pets": 200, "batch": 16, "learning_rate": 5e-4,
                  "steps": 8, "evaluations": 2, "judge_steps": 8, "judge_width": 8,
                  "trial_steps": 4},
        "quick": {"size": 32, "width": 128, "pets": 4000, "batch": 16, "learning_rate": 5e-4,
                  "steps": 6000, "evaluations": 14, "judge_steps": 400, "judge_width": 16,
                  "trial_steps": 400},
        "full": {"size": 64, "width": 512, "pets": 24000, "batch": 128, "learning_rate": 2e-4,
                 "steps": 20000, "evaluations": 18, "judge_steps": 3000, "judge_width": 32,
                 "trial_steps": 2000},
    }  # fmt: skip
    size: Literal[tuple(LADDERS)] = Field(None, description="side of an image in pixels")
    width: int = Field(
        None, ge=32, le=1024, multiple_of=32, description="channels of both networks where most"
    )
    batch: int = Field(None, ge=2, le=1024, description="real, and generated, images in a step")
    learning_rate: float = Field(None, gt=0, le=0.1, description="Adam's, for both networks")
    steps: int = Field(None, ge=2, description="training steps of the main run")
    evaluations: int = Field(
        None, ge=2, le=24, description="evaluations of the main run while it trains, and frames"
    )
    judge_steps: int = Field(None, ge=4, description="training steps of the classifier that judges")
    judge_width: int = Field(None, ge=8, le=64, description="channels of its first stage")
    trial_steps: int = Field(None, ge=2, description="training steps of each run of the diagnosis")


@dataclass(frozen=True)
class Recipe:
    """One way to train the pair; the defaults are DCGAN's, but for the batch and the averaging.

    `ema` is the decay of the averaged generator that draws the samples. The remedies: the
    strength of an augmentation of real and generated images alike (None: off); one-sided label
    smoothing, which asks for D(real) = 1 − `smoothing`; R1's weight γ.
    """

    generator_rate: float = 2e-4
    discriminator_rate: float = 2e-4
    batch: int = 64
    ema: float = 0.99
    augment: float | None = None
    smoothing: float = 0.0
    r1: float = 0.0


@dataclass
class Gan:
    """Both networks, their optimizers, and the EMA of the generator's weights."""

    recipe: Recipe
    hardware: Hardware
    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    average: AveragedModel

    @classmethod
    def make(cls, recipe: Recipe, size: int, width: int) -> Self:
        """Fresh networks, equally wide; weights come from PyTorch's global generator."""
        hardware = Hardware.detect()
        on_gpu = hardware.device.type == "cuda"
        generator = hardware.place(Generator(size, width=width))
        discriminator = hardware.place(Discriminator(size, width))
        rates = (recipe.generator_rate, recipe.discriminator_rate)
        optimizers = (
            torch.optim.Adam(network.parameters(), rate, BETAS, fused=True, capturable=on_gpu)
            for network, rate in zip((generator, discriminator), rates, strict=True)
        )
        average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        return cls(recipe, hardware, generator, discriminator, *optimizers, average)

    def noise(self, count: int) -> Tensor:
        return torch.randn(count, self.generator.noise, device=self.hardware.device)


def dcgan_step(gan: Gan, real: Tensor) -> dict[str, Tensor]:
    """One step on real images (B, 3, S, S) in [−1, 1]: discriminator, then generator.

    Real and generated images pass through the discriminator separately, each batch with its own
    batch-norm statistics. Returns the loss terms and D on both kinds, each a scalar.
    """
    recipe, generator, discriminator = gan.recipe, gan.generator, gan.discriminator

    def view(images: Tensor) -> Tensor:
        return images if recipe.augment is None else augment(images, recipe.augment)

    seen = view(real).requires_grad_(recipe.r1 > 0)
    with gan.hardware.autocast():
        fake = generator(gan.noise(len(real))).float()
        on_real, _ = discriminator(seen)
        on_fake, _ = discriminator(view(fake.detach()))
    asked = losses.real_loss(on_real)
    if recipe.smoothing:
        asked = (1 - recipe.smoothing) * asked + recipe.smoothing * losses.fake_loss(on_real)
    discriminator_loss = asked + losses.fake_loss(on_fake)
    penalty = recipe.r1 / 2 * losses.gradient_penalty(on_real, seen) if recipe.r1 else 0.0
    descend(gan.discriminator_optimizer, discriminator_loss + penalty)

    with gan.hardware.autocast():
        again, _ = discriminator(view(fake))
    generator_loss = losses.generator_loss(again)
    descend(gan.generator_optimizer, generator_loss)
    return {
        "discriminator": discriminator_loss.detach(),
        "generator": generator_loss.detach(),
        "D(real)": losses.log_z(on_real).sigmoid().mean().detach(),
        "D(fake)": losses.log_z(on_fake).sigmoid().mean().detach(),
    }


@dataclass
class Trained:
    """What one training leaves.

    `steps` has a row a step: the terms that `dcgan_step` returns. `evaluations` has a row each:
    step, seconds, epoch, what the judge said, and mean terms. `samples` maps a step (0: before
    training) to images (24, 3, S, S), uint8, of one noise. `generator` is the averaged one, ready
    to draw; `discriminator` the last one.
    """

    steps: pd.DataFrame
    evaluations: pd.DataFrame
    samples: dict[int, Tensor]
    generator: nn.Module
    discriminator: nn.Module


def train(
    recipe: Recipe,
    images: Tensor,
    steps: int,
    *,
    width: int = 512,
    evaluations: int = 10,
    seed: int = 0,
    judge: Callable[[nn.Module], dict[str, float]] = lambda generator: {},
    checkpoint: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train on images (N, 3, S, S), uint8, as `loop.run` does; sample and judge at each evaluation.

    The evaluations grow apart with time, because most happens early, up to the end; one more is
    after the first epoch.
    """
    loop.seed_step(seed, -1)
    gan = Gan.make(recipe, images.shape[-1], width)
    device, noise = gan.hardware.device, gan.noise(SAMPLES)
    batches = Schedule(np.arange(len(images)), recipe.batch, shuffle=True, seed=seed)
    terms = loop.Kept(of=torch.full((steps, len(TERMS)), torch.nan, device=device))
    samples = loop.Kept({0: draw(gan.generator, noise)})

    here = images.to(device)

    def one(stage: None, real: Tensor) -> dict[str, Tensor]:
        real = to_range(real, PIXELS).contiguous(memory_format=torch.channels_last)
        return dcgan_step(gan, real)

    take = captured(one, device)

    def step(number: int, progress: float) -> dict[str, Tensor]:
        found = take(None, here[torch.from_numpy(batches.batch(number)).to(device)])
        terms["of"][number] = torch.stack([found[name] for name in TERMS])
        gan.average.update_parameters(gan.generator)
        return found

    def evaluate(number: int, progress: float) -> dict[str, float]:
        generator = averaged(gan)
        samples[number] = draw(generator, noise)
        return {"epoch": number * recipe.batch / len(images)} | judge(generator)

    parts = loop.parts_of(gan) | {"terms": terms, "samples": samples}
    identity = {
        "name": "DCGAN",
        "recipe": asdict(recipe),
        "images": [*images.shape, checksum(images)],
        "width": width,
    }
    at = {round(steps * ((i + 1) / evaluations) ** 2) for i in range(evaluations)}
    at.add(-(-len(images) // recipe.batch))
    found = loop.run(
        parts, step, evaluate, identity, steps=steps,
        evaluations=[end / steps for end in sorted(at) if 0 < end <= steps],
        seed=seed, checkpoint=checkpoint, report=report,
    )  # fmt: skip
    table = pd.DataFrame(terms["of"].cpu().numpy(), columns=list(TERMS))
    table.index = pd.RangeIndex(1, len(table) + 1, name="step")
    return Trained(table, found, dict(samples), averaged(gan), gan.discriminator)


@torch.no_grad()
def mean_d(discriminator: nn.Module, images: Tensor, batch: int) -> float:
    """Mean D on images (N, 3, S, S), uint8, in batches with statistics of their own, as in
    training."""
    discriminator.train()
    device = next(discriminator.parameters()).device
    parts = (to_range(part.to(device), PIXELS) for part in images.split(batch))
    return float(torch.cat([losses.log_z(discriminator(p)[0]) for p in parts]).sigmoid().mean())


def averaged(gan: Gan) -> nn.Module:
    """The EMA of the generator, and batch-norm statistics measured for it."""
    batch = max(gan.recipe.batch, 64)
    with own_random_numbers(), gan.hardware.autocast():
        torch.manual_seed(0)
        update_bn((gan.noise(batch) for _ in range(STATISTICS_BATCHES)), gan.average.module)
    return gan.average.module.eval()
