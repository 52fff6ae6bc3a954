"""Convolutional generators: one ladder from 32 px to the article's 224 px."""

from torch import Tensor, nn
from torch.nn.functional import interpolate

from ssgan_core.errors import InputError

# image size → (side of the first feature map, stride of each transposed convolution behind it)
LADDERS = {
    32: (4, (2, 2, 2)),
    64: (4, (2, 2, 2, 2)),
    128: (4, (2, 2, 2, 2, 2)),
    224: (7, (2, 2, 4, 2)),  # the article's: 7 → 14 → 28 → 112 → 224
}


class Generator(nn.Module):
    """Transposed convolutions from noise to an image (DCGAN, Radford et al. 2016, section 3).

    Every rung but the last has batch normalization and ReLU; the last ends in tanh. Channels
    start at `width` and halve at each rung. Convolution weights start at N(0, 0.02²).

    One that `grows` also makes images of half the side; its whole ones are those, enlarged, plus
    what the last transposed convolution adds: nothing at first (after Karras et al. 2018,
    arXiv:1710.10196, section 2, and 2020, arXiv:1912.04958, section 4.1).

    Shapes: noise (B, noise) → images (B, 3, size, size) with values in [−1, 1]; with `half`
    (B, 3, size / 2, size / 2).

    Raises
    ------
    InputError
        `size` is none of the ladder's sizes.
    """

    def __init__(self, size: int = 64, noise: int = 100, width: int = 512, grows: bool = False):
        super().__init__()
        if size not in LADDERS:
            raise InputError(f"size is {size}; the generator makes {', '.join(map(str, LADDERS))}")
        self.noise = noise
        side, strides = LADDERS[size]
        rungs = [_rung(noise, width, kernel=side, stride=1, padding=0)]
        channels = width
        for stride in strides[:-1]:
            rungs.append(_rung(channels, channels // 2, 2 * stride, stride, stride // 2))
            channels //= 2
        stride = strides[-1]
        self.body = nn.Sequential(*rungs)
        self.head = nn.ConvTranspose2d(channels, 3, 2 * stride, stride, stride // 2)
        self.small = nn.Conv2d(channels, 3, 3, padding=1) if grows else None
        start_small(self)
        if grows:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    @property
    def grows(self) -> bool:
        return self.small is not None

    def forward(self, noise: Tensor, half: bool = False) -> Tensor:
        x = self.body(noise[:, :, None, None])
        if not self.grows:
            return self.head(x).tanh()
        image = self.small(x)
        if not half:
            image = interpolate(image, scale_factor=2, mode="bilinear") + self.head(x)
        return image.tanh()


def start_small(network: nn.Module) -> None:
    """DCGAN's first weights: N(0, 0.02²), and N(1, 0.02²) for the gains of batch norm."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def _rung(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    """Output side: (input side − 1) · stride − 2 · padding + kernel."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
