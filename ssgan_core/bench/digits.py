"""Speed of a digits training step against a plain fp32 loop of the same mathematics."""

from collections.abc import Callable
from itertools import pairwise

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus
from torch.nn.utils.parametrizations import weight_norm

from ssgan_core.bench import timing
from ssgan_core.bench.timing import race, roofline
from ssgan_core.device import Hardware
from ssgan_core.digits.images import CLASSES, Digits, draw_labeled
from ssgan_core.digits.networks import SIZES, digits_pair
from ssgan_core.digits.step import Recipe, draw_batch, train_step


class PlainGenerator(nn.Sequential):
    """The generator of one run, from stock layers."""

    def __init__(self, side: int) -> None:
        sizes = SIZES[side]
        layers: list[nn.Module] = []
        widths = (sizes.latent, *sizes.generator)
        for inputs, outputs in pairwise(widths):
            norm = nn.BatchNorm1d(outputs, track_running_stats=False)
            layers += [nn.Linear(inputs, outputs), norm, nn.Softplus()]
        super().__init__(*layers, weight_norm(nn.Linear(widths[-1], side * side)), nn.Sigmoid())


class PlainDiscriminator(nn.Module):
    """The discriminator of one run, from stock layers, with fresh noise at each of them."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.sizes = SIZES[side]
        widths = (side * side, *self.sizes.discriminator, CLASSES)
        self.layers = nn.ModuleList(
            weight_norm(nn.Linear(inputs, outputs)) for inputs, outputs in pairwise(widths)
        )

        for layer in self.layers[:-1]:
            layer.parametrizations.weight.original0.requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            x = x + self.sizes.input_noise * torch.randn_like(x)
        for layer in self.layers[:-1]:
            x = features = torch.relu(layer(x))
            if self.training:
                x = x + self.sizes.hidden_noise * torch.randn_like(x)
        return self.layers[-1](x), features


def plain_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    labeled: Tensor,
    labels: Tensor,
    unlabeled: Tensor,
    z: Tensor,
) -> None:
    """The update of `train_step` as it is usually written: a forward pass for every term."""
    optimizer_g, optimizer_d = optimizers
    of_fake, _ = discriminator(generator(z).detach())
    of_real, _ = discriminator(unlabeled)
    of_labeled, _ = discriminator(labeled)
    loss_d = cross_entropy(of_labeled, labels)
    loss_d = loss_d + softplus(-of_real.logsumexp(1)).mean() / 2
    loss_d = loss_d + softplus(of_fake.logsumexp(1)).mean() / 2

    optimizer_d.zero_grad()
    loss_d.backward()
    optimizer_d.step()

    _, fake_features = discriminator(generator(z))
    _, real_features = discriminator(unlabeled)
    distance = real_features.mean(0).detach() - fake_features.mean(0)
    optimizer_g.zero_grad()
    distance.square().mean().backward()
    optimizer_g.step()


def steps_to_time(digits: Digits, hardware: Hardware) -> dict[str, Callable[[], None]]:
    """The plain step and ours, ready to be called again and again."""
    rows = draw_labeled(digits.labels, 100, 0)[None]
    recipe = Recipe()
    images, labels = digits.images.to(hardware.device), digits.labels.to(hardware.device)
    plain = [network(digits.side) for network in (PlainGenerator, PlainDiscriminator)]
    fast = digits_pair(digits.side)
    for network in (*plain, *fast):
        network.to(hardware.device)
    plain_optimizers = tuple(torch.optim.Adam(n.parameters(), 3e-3) for n in plain)
    optimizers = tuple(torch.optim.Adam(n.parameters(), 3e-3, fused=True) for n in fast)

    def plain_call() -> None:
        batch = draw_batch(images, labels, rows, recipe.batch)
        z = torch.randn(recipe.batch, SIZES[digits.side].latent, device=hardware.device)
        parts = (batch.labeled[0], batch.labels[0], batch.unlabeled[0], z)
        plain_step(*plain, plain_optimizers, *parts)

    def fast_call() -> None:
        batch = draw_batch(images, labels, rows, recipe.batch)
        train_step(*fast, optimizers, batch, recipe, 0.0, hardware)

    return {"plain": plain_call, "ours": fast_call}


def speeds(digits: Digits, rounds: int = 10, steps: int = 20) -> pd.DataFrame:
    """Milliseconds a step and steps a second of both, and their ratio, by `race`."""
    best = race(steps_to_time(digits, Hardware.detect()), rounds, steps)
    frame = pd.DataFrame({"ms a step": pd.Series(best) * 1e3})
    frame["steps/s"] = 1e3 / frame["ms a step"]
    frame["times plain"] = frame["steps/s"] / frame.loc["plain", "steps/s"]
    return frame


def roofline_of_ours(
    digits: Digits, milliseconds: float, rates: tuple[float, float] | None = None
) -> pd.DataFrame:
    """The `roofline` of our step, which takes so many milliseconds."""
    hardware = Hardware.detect()
    step = steps_to_time(digits, hardware)["ours"]
    return roofline(step, milliseconds / 1e3, hardware, rates)


def profile(digits: Digits, steps: int = 20, top: int = 12) -> pd.DataFrame:
    """Where the time of our step goes: see `timing.profile`."""
    return timing.profile(steps_to_time(digits, Hardware.detect())["ours"], steps, top)
