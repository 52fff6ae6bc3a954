"""The convolutional discriminator: the generator's ladder, climbed down."""

import torch
from torch import Tensor, nn

from ssgan_core.errors import InputError
from ssgan_core.photos.networks import LADDERS, start_small


class Discriminator(nn.Module):
    """Strided convolutions from an image to logits (DCGAN, Radford et al. 2016, section 3).

    Its maps have the sides of the generator's, in reverse; channels double at each rung and end
    at `width`. Leaky ReLU of slope 0.2 throughout, batch normalization on every rung but the
    first. Weights start at N(0, 0.02²). One class makes the ordinary discriminator: its one
    logit is log Z (see `ssgan_core.losses`), and D = sigmoid(logit).

    Shapes: images (B, 3, size, size) → logits (B, classes), features (B, width · side²), the
    last map, whose side is 4 (7 for 224 px). Raises InputError for a size that is none of the
    ladder's.
    """

    def __init__(self, size: int = 64, width: int = 512, classes: int = 1):
        super().__init__()
        if size not in LADDERS:
            sizes = ", ".join(map(str, LADDERS))
            raise InputError(f"size is {size}; the discriminator reads {sizes}")
        side, strides = LADDERS[size]
        channels = width >> (len(strides) - 1)
        rungs = [_rung(3, channels, strides[-1], normalized=False)]
        for stride in reversed(strides[:-1]):
            rungs.append(_rung(channels, 2 * channels, stride))
            channels *= 2
        self.body = nn.Sequential(*rungs)
        self.head = nn.Linear(channels * side**2, classes)
        start_small(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.flatten(self.body(images), 1)
        return self.head(features), features


def _rung(inputs: int, outputs: int, stride: int, normalized: bool = True) -> nn.Sequential:
    """Output side: input side / stride."""
    layers = [
        nn.Conv2d(inputs, outputs, 2 * stride, stride, stride // 2, bias=not normalized),
        nn.LeakyReLU(0.2, inplace=True),
    ]
    if normalized:
        layers.insert(1, nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers)
