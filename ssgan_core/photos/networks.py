"""The classifier of cats and dogs, whose K logits double as a GAN's discriminator."""

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

PROJECTED = 64  # outputs of the projection


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2016, arXiv:1512.03385, table 1) that also returns its features.

    With `width=64` and `stem="imagenet"` it is torchvision's `resnet18`, weights
    interchangeable. `stem="small"`, a 3×3 convolution of stride 2 without the max pooling, loses
    half as much resolution: for images of 32 px.

    `turns` adds a second linear layer on the same features, of 4 outputs, by which quarter turn
    an image was rotated (Gidaris et al. 2018, arXiv:1803.07728). `projection` adds two layers that
    map the features to 64 numbers, by which images are told apart (SimCLR, Chen et al. 2020,
    arXiv:2002.05709, section 4.2).

    Shapes: images (B, 3, S, S) → logits (B, classes), features (B, 8 · width).
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
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        else:
            self.conv1 = nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False)
            self.maxpool = nn.Identity()
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
