"""Training a DCGAN: the alternating step, and the loop around it.

Radford et al. 2016, arXiv:1511.06434, with remedies that are off by default.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from ssgan_core import losses
from ssgan_core.checkpoint import (
    checksum,
    resume_checkpoint,
    save_checkpoint,
    seed_step,
)
from ssgan_core.dcgan.networks import Discriminator
from ssgan_core.hardware import Hardware
from ssgan_core.photos.augment import augment
from ssgan_core.photos.generator import Generator
from ssgan_core.photos.loader import Cached, Loader

BETAS = (0.5, 0.999)
PIXELS = (-1.0, 1.0)  # black and white, tanh's range
TERMS = ("discriminator", "generator", "D(real)", "D(fake)")
SAMPLES = 24  # images generated at each look, always from the same noise
STATISTICS_BATCHES = 4  # of noise, to measure the averaged generator's batch-norm statistics on


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
    """Both networks, their optimizers, and the generator's averaged weights."""

    recipe: Recipe
    hardware: Hardware
    generator: nn.Module
    discriminator: nn.Module
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    average: AveragedModel

    @classmethod
    def make(cls, recipe: Recipe, size: int, width: int) -> "Gan":
        """Fresh networks, equally wide; weights come from PyTorch's global generator."""
        hardware = Hardware.detect()
        generator = hardware.place(Generator(size, width=width))
        discriminator = hardware.place(Discriminator(size, width))
        rates = (recipe.generator_rate, recipe.discriminator_rate)
        optimizers = (
            torch.optim.Adam(network.parameters(), rate, BETAS, fused=True)
            for network, rate in zip((generator, discriminator), rates, strict=True)
        )
        average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        return cls(recipe, hardware, generator, discriminator, *optimizers, average)

    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """All that a checkpoint holds."""
        names = ("generator", "discriminator", "generator_optimizer", "discriminator_optimizer",
                 "average")  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def noise(self, count: int) -> Tensor:
        return torch.randn(count, self.generator.noise, device=self.hardware.device)


def dcgan_step(gan: Gan, real: Tensor) -> dict[str, Tensor]:
    """One step on real images (B, 3, S, S) in [−1, 1]: the discriminator's, then the generator's.

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
    gan.discriminator_optimizer.zero_grad(set_to_none=True)
    (discriminator_loss + penalty).backward()
    gan.discriminator_optimizer.step()

    discriminator.requires_grad_(False)
    with gan.hardware.autocast():
        again, _ = discriminator(view(fake))
    generator_loss = losses.generator_loss(again)
    gan.generator_optimizer.zero_grad(set_to_none=True)
    generator_loss.backward()
    gan.generator_optimizer.step()
    discriminator.requires_grad_(True)
    return {
        "discriminator": discriminator_loss.detach(),
        "generator": generator_loss.detach(),
        "D(real)": losses.log_z(on_real).sigmoid().mean().detach(),
        "D(fake)": losses.log_z(on_fake).sigmoid().mean().detach(),
    }


@dataclass
class Trained:
    """What one training leaves.

    `steps` has a row a step: the terms that `dcgan_step` returns. `looks` has a row a look: step,
    epoch, seconds, and what the judge said. `samples` maps a step (0: before training) to images
    (24, 3, S, S), uint8, of one noise. `generator` is the averaged one, ready to draw.
    """

    recipe: Recipe
    steps: pd.DataFrame
    looks: pd.DataFrame
    samples: dict[int, Tensor]
    generator: nn.Module


def train(
    recipe: Recipe,
    images: Tensor,
    steps: int,
    *,
    width: int = 512,
    looks: int = 10,
    seed: int = 0,
    judge: Callable[[nn.Module], dict[str, float]] = lambda generator: {},
    checkpoint: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train on images (N, 3, S, S), uint8; at each look, sample, judge and save.

    The looks grow apart with time, because most happens early; one more is at the end of the
    first epoch. Every random number of a step depends on the seed and the step alone, so a
    training that goes on from its checkpoint computes, on a CPU, exactly what it would have
    computed uninterrupted.

    Raises
    ------
    InputError
        The checkpoint is another training's.
    FloatingPointError
        A loss is no longer a number.
    """
    seed_step(seed, -1)
    gan = Gan.make(recipe, images.shape[-1], width)
    noise = gan.noise(SAMPLES)
    identity = {
        "recipe": repr(recipe),
        "images": [*images.shape, checksum(images)],
        "width": width,
        "steps": steps,
        "looks": looks,
        "seed": seed,
    }
    log: dict[str, Any] = {"identity": identity, "step": 0, "seconds": 0.0, "looks": []}
    log |= {"terms": torch.empty(0, len(TERMS)), "samples": {0: draw(gan.generator, noise)}}
    if saved := resume_checkpoint(checkpoint, identity):
        for name, part in gan.parts().items():
            part.load_state_dict(saved[name])
        log = {key: saved[key] for key in log}
        report(f"goes on from step {log['step']:,}")

    source = Cached(images, torch.zeros(len(images), dtype=torch.long))
    loader = Loader(source, np.arange(len(images)), recipe.batch, True, seed, PIXELS)
    batches = loader.stream(log["step"])
    started = time.perf_counter() - log["seconds"]
    for end in look_steps(steps, looks, epoch=-(-len(images) // recipe.batch)):
        if end <= log["step"]:
            continue
        terms: list[Tensor] = []
        for step in range(log["step"], end):
            seed_step(seed, step)
            real = next(batches).images.to(gan.hardware.device)
            found = dcgan_step(gan, real.contiguous(memory_format=torch.channels_last))
            terms.append(torch.stack([found[name] for name in TERMS]))
            gan.average.update_parameters(gan.generator)
        log["terms"] = torch.cat([log["terms"], torch.stack(terms).cpu()])
        means = dict(zip(TERMS, torch.stack(terms).mean(0).tolist(), strict=True))
        if not np.isfinite(list(means.values())).all():
            raise FloatingPointError(f"not finite before step {end}: {means}")
        generator = averaged(gan)
        log["samples"][end] = draw(generator, noise)
        scores = judge(generator)
        log["step"], log["seconds"] = end, time.perf_counter() - started
        epoch = end * recipe.batch / len(images)
        log["looks"].append({"step": end, "epoch": epoch, "seconds": log["seconds"]} | scores)
        if checkpoint:
            states = {name: part.state_dict() for name, part in gan.parts().items()}
            save_checkpoint(checkpoint, log | states)
        shown = ", ".join(f"{name} {value:.2f}" for name, value in (means | scores).items())
        report(f"step {end:,} of {steps:,}, {log['seconds']:.0f} s: {shown}")
    table = pd.DataFrame(log["terms"].cpu().numpy(), columns=list(TERMS))
    table.index = pd.RangeIndex(1, len(table) + 1, name="step")
    return Trained(recipe, table, pd.DataFrame(log["looks"]), log["samples"], averaged(gan))


def look_steps(steps: int, looks: int, epoch: int) -> list[int]:
    """Steps after which a training is looked at: ever further apart, the last at the end."""
    ends = {round(steps * ((i + 1) / looks) ** 2) for i in range(looks)} | {epoch}
    return sorted(end for end in ends if 0 < end <= steps)


def averaged(gan: Gan) -> nn.Module:
    """The generator with averaged weights, and batch-norm statistics measured for them."""
    batch = max(gan.recipe.batch, 64)
    with gan.hardware.own_random_numbers(), gan.hardware.autocast():
        torch.manual_seed(0)
        update_bn((gan.noise(batch) for _ in range(STATISTICS_BATCHES)), gan.average.module)
    return gan.average.module.eval()


@torch.no_grad()
def draw(generator: nn.Module, noise: Tensor) -> Tensor:
    """Images (B, 3, S, S), uint8, on the CPU, of noise (B, z): tanh's −1 is black, 1 is white."""
    mode = generator.training
    generator.eval()
    parts = [generator(part) for part in noise.split(256)]
    generator.train(mode)
    return torch.cat(parts).add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu()
