"""The classifier, whose K logits double as a GAN's discriminator; DCGAN's generator, its mirror."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ssgan_core.errors import InputError

PROJECTED = 64  # outputs of the projection
# image size → (side of the first feature map, stride of each transposed convolution behind it)
LADDERS = {
    32: (4, (2, 2, 2)),
    64: (4, (2, 2, 2, 2)),
    128: (4, (2, 2, 2, 2, 2)),
    224: (7, (2, 2, 4, 2)),  # the article's: 7 → 14 → 28 → 112 → 224
}


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016, arXiv:1512.03385, table 1) that also returns its features.

    With `width=64` and `stem="imagenet"` it is torchvision's `resnet18`, weights
    interchangeable. `stem="small"`, a 3×3 convolution of stride 2 without the max pooling, loses
    half as much resolution: for images of 32 px.

    `turns` adds a second linear layer on the same features, of 4 outputs, by which quarter turn
    an image was rotated (Gidaris et al. 2018, arXiv:1803.07728). `projection` adds two layers that
    map the features to 64 numbers, by which images are told apart (SimCLR, Chen et al. 2020,
    arXiv:2002.05709, section 4.2).

    Shapes: images (B, 3, S, S) → logits (B, classes), features (B, 8 · width). `arguments` are
    those of the constructor, for whoever saves the network.
    """

    def __init__(
        self,
        classes: int = 2,
        width: int = 64,
        stem: str = "imagenet",
        turns: bool = False,
        projection: bool = False,
    ):
        super().__init__()
        self.arguments = {"classes": classes, "width": width, "stem": stem, "turns": turns,
                          "projection": projection}  # fmt: skip
        kernel = 7 if stem == "imagenet" else 3
        self.conv1 = nn.Conv2d(3, width, kernel, stride=2, padding=kernel // 2, bias=False)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem == "imagenet" else nn.Identity()
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, classes)
        self.turns = nn.Linear(8 * width, 4) if turns else None
        self.projection = None
        if projection:
            self.projection = nn.Sequential(
                nn.Linear(8 * width, 8 * width), nn.ReLU(), nn.Linear(8 * width, PROJECTED)
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        features = torch.flatten(self.avgpool(x), 1)
        return self.fc(features), features


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Two residual blocks, the first of which may halve the resolution."""
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
        )
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride, shortcut), BasicBlock(outputs, outputs)
    )


class BasicBlock(nn.Module):
    """Residual block of two 3×3 convolutions (He et al. 2016, arXiv:1512.03385, figure 5, left).

    Torchvision's, with its names; importing that takes longer than all else that predicting does.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int = 1, downsample: nn.Module | None = None
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = downsample

    def forward(self, images: Tensor) -> Tensor:
        x = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(images)))))
        x += images if self.downsample is None else self.downsample(images)
        return self.relu(x)


class Generator(nn.Module):
    """Transposed convolutions from noise to an image (DCGAN, Radford et al. 2016, section 3).

    Every rung but the last has batch normalization and ReLU; the last ends in tanh. Channels
    start at `width` and halve at each rung. Convolution weights start at N(0, 0.02²).

    One that `grows` also makes images of half the side; its whole ones are those, enlarged, plus
    what the last transposed convolution adds: nothing at first (after Karras et al. 2018,
    arXiv:1710.10196, section 2, and 2020, arXiv:1912.04958, section 4.1).

    Shapes: noise (B, noise) → images (B, 3, size, size) with values in [−1, 1]; with `half`
    (B, 3, size / 2, size / 2). Raises InputError for a size that is none of the ladder's.
    """

    def __init__(self, size: int = 64, noise: int = 100, width: int = 512, grows: bool = False):
        super().__init__()
        if size not in LADDERS:
            sizes = ", ".join(map(str, LADDERS))
            raise InputError(f"size is {size}; the generator makes {sizes}")
        self.noise = noise
        side, strides = LADDERS[size]
        rungs = [_up(noise, width, kernel=side, stride=1, padding=0)]
        channels = width
        for stride in strides[:-1]:
            rungs.append(_up(channels, channels // 2, 2 * stride, stride, stride // 2))
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


@torch.no_grad()
def draw(generator: Generator, noise: Tensor) -> Tensor:
    """Images (B, 3, S, S), uint8, on the CPU, of noise (B, z): tanh's −1 is black, 1 is white."""
    mode = generator.training
    generator.eval()
    images = torch.cat([generator(part) for part in noise.split(256)]).float()
    generator.train(mode)
    return images.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8).cpu()


def start_small(network: nn.Module) -> None:
    """DCGAN's first weights: N(0, 0.02²), and N(1, 0.02²) for the gains of batch norm."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)


def _up(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
    """Output side: (input side − 1) · stride − 2 · padding + kernel."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
