"""The digit networks of Improved GAN: weight norm and Gaussian noise, no batch norm in D.

Every tensor has a leading axis of R independent runs (label draws), so that ten small
networks cost one batched matrix product instead of ten Python loops.  R = 1 is a single run.
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from ssgan_core.errors import InputError

BANK = 2**22  # least length of the noise bank: 8 MB in bf16, which stays in the processor's cache


class Sizes(NamedTuple):
    """Widths of one pair: noise dimension, hidden layers of G and D, noise on D's input."""

    latent: int
    generator: tuple[int, ...]
    discriminator: tuple[int, ...]
    input_noise: float
    hidden_noise: float


SIZES = {
    28: Sizes(100, (500, 500), (1000, 500, 250, 250, 250), 0.3, 0.5),  # Improved GAN, MNIST
    8: Sizes(50, (128, 128), (256, 128, 128), 0.2, 0.3),  # cut to 8 x 8 pixels, and less noise
}


class StackedLinear(nn.Module):
    """R linear layers side by side: (R, B, inputs) to (R, B, outputs).

    The R matrices are stored as one (inputs, R * outputs) matrix, one column a unit: the form
    that `weight_norm` normalizes column by column, and in which gradients come without a copy.
    """

    def __init__(self, runs: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shape = (inputs, runs, outputs)
        std = (2 / (inputs + outputs)) ** 0.5  # Glorot & Bengio 2010, equation 16
        self.weight = nn.Parameter(torch.randn(inputs, runs * outputs) * std)
        self.bias = nn.Parameter(torch.zeros(runs, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight.view(self.shape).transpose(0, 1))


def normalized(layer: StackedLinear) -> StackedLinear:
    """The layer under weight norm, every unit's weights of length 1 to begin with."""
    weight_norm(layer, dim=1)
    nn.init.ones_(layer.parametrizations.weight.original0)
    nn.init.normal_(layer.parametrizations.weight.original1, std=0.1)
    return layer


@cache
def noise_bank(device: torch.device, dtype: torch.dtype, size: int = BANK) -> Tensor:
    """N(0, 1) numbers (size,), the same in every process."""
    random = torch.Generator().manual_seed(0)
    return torch.randn(size, generator=random).to(device, dtype)


class GaussianNoise(nn.Module):
    """Add N(0, sigma²) while training; the regularizer that lets few labels carry many layers.

    Drawing a million Gaussian numbers a step costs a third of its time on a CPU.  They are drawn
    once instead, and each call reads a window at a random place of that bank, which is at least
    twice as long.
    """

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.sigma = sigma

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        if x.is_cuda and torch.cuda.is_current_stream_capturing():  # a window would stay the same
            return torch.add(x, torch.randn_like(x), alpha=self.sigma)
        size = max(BANK, 1 << (2 * x.numel() - 1).bit_length())
        start = int(torch.randint(size - x.numel(), ()))
        window = noise_bank(x.device, x.dtype, size)[start : start + x.numel()]
        return torch.add(x, window.view_as(x), alpha=self.sigma)


class StackedBatchNorm(nn.Module):
    """Batch norm for each run by itself.

    With `learned` scales and shifts it has the batch's own statistics, in testing too; without
    them it keeps running ones for that.
    """

    def __init__(self, runs: int, width: int, learned: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(runs * width, affine=learned, track_running_stats=not learned)

    def forward(self, x: Tensor) -> Tensor:
        runs, batch, width = x.shape
        flat = x.transpose(0, 1).reshape(batch, runs * width)
        return self.norm(flat).view(batch, runs, width).transpose(0, 1)


class Generator(nn.Module):
    """Noise (R, B, latent) to images (R, B, pixels) in [0, 1]; Improved GAN, MNIST."""

    def __init__(self, runs: int, latent: int, widths: tuple[int, ...], pixels: int) -> None:
        super().__init__()
        self.runs, self.latent = runs, latent
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((latent, *widths)):
            layers += [
                StackedLinear(runs, inputs, outputs),
                StackedBatchNorm(runs, outputs),
                nn.Softplus(),
            ]
        self.layers = nn.Sequential(*layers)
        self.last = normalized(StackedLinear(runs, widths[-1], pixels))

    def forward(self, z: Tensor) -> Tensor:
        # fp32: in bf16 a sigmoid near 1 rounds to 1, and its gradient to 0 for good
        return torch.sigmoid(self.last(self.layers(z)).float())

    def sample(self, batch: int) -> Tensor:
        """Images (R, batch, pixels) from fresh noise of torch's default generator."""
        z = torch.randn(self.runs, batch, self.latent, device=self.last.bias.device)
        return self(z)


class Discriminator(nn.Module):
    """Images (R, B, pixels) to (logits (R, B, classes), features (R, B, widths[-1])).

    Features are the last hidden layer before its noise, the layer of feature matching.
    Only the last layer learns the lengths of its weights.  With `norm_logits` the logits pass
    through batch norm without a scale to learn, so that each class's keep mean 0 and variance 1.
    """

    def __init__(
        self, runs: int, pixels: int, sizes: Sizes, classes: int = 10, norm_logits: bool = False
    ) -> None:
        super().__init__()
        widths = sizes.discriminator
        self.noise = GaussianNoise(sizes.input_noise)
        self.hidden = nn.ModuleList(
            normalized(StackedLinear(runs, inputs, outputs))
            for inputs, outputs in pairwise((pixels, *widths))
        )
        for layer in self.hidden:  # or units would outgrow the noise that regularizes them
            layer.parametrizations.weight.original0.requires_grad_(False)
        self.hidden_noise = GaussianNoise(sizes.hidden_noise)
        self.last = normalized(StackedLinear(runs, widths[-1], classes))
        self.norm = StackedBatchNorm(runs, classes, learned=False) if norm_logits else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.noise(x)
        for layer in self.hidden:
            features = torch.relu(layer(x))
            x = self.hidden_noise(features)
        return self.norm(self.last(x)), features

    @torch.no_grad()
    def standardize(self, images: Tensor) -> None:
        """Give every unit zero mean and unit variance on real images (B, pixels).

        The data-dependent start of weight norm (Salimans & Kingma 2016, section 3).  It sets the
        scale of the layers that the noise, whose sigma is fixed, is measured against.
        """
        x = self.noise(images.expand(self.last.shape[1], -1, -1))
        for layer in (*self.hidden, self.last):
            outputs = layer(x)
            std, mean = torch.std_mean(outputs, 1, keepdim=True)
            std = std + 1e-6
            layer.parametrizations.weight.original0.div_(std.view(1, -1))
            layer.bias.sub_(mean).div_(std)
            x = self.hidden_noise(torch.relu(layer(x)))


def with_same_noise(discriminator: Discriminator) -> Callable[[Tensor], Tensor]:
    """A function from images (R, B, pixels) to logits, with the same noise at every call."""
    state = torch.get_rng_state()  # which says where the windows of the noise bank begin

    def predict(images: Tensor) -> Tensor:
        torch.set_rng_state(state)
        return discriminator(images)[0]

    return predict


def digits_pair(
    side: int, runs: int = 1, classes: int = 10, norm_logits: bool = False
) -> tuple[Generator, Discriminator]:
    """A generator and a discriminator for side x side digits; `classes` is 11 for explicit K+1.

    Raises InputError for a side other than 8 or 28.
    Source: Salimans et al. 2016, "Improved Techniques for Training GANs", section 6.1.
    """
    if side not in SIZES:
        raise InputError(f"side is {side}, and the digit networks are made for sides of 8 or 28")
    sizes, pixels = SIZES[side], side * side
    generator = Generator(runs, sizes.latent, sizes.generator, pixels)
    return generator, Discriminator(runs, pixels, sizes, classes, norm_logits)
