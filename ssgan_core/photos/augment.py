"""Random changes that keep the class, drawn for each image, differentiable."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ssgan_core.device import rank, share, world


def augment(images: Tensor, strength: float = 1.0) -> Tensor:
    """Flip, zoom, shift, rotate and relight each image on its own.

    Real and generated images must pass through the same transform, or the discriminator learns
    the transform (Zhao et al. 2020, arXiv:2006.10738; Karras et al. 2020, arXiv:2006.06676);
    gradients flow through to the generator.

    Shapes: images (B, 3, S, S), float; the same shape comes back. `strength` 0 only flips; at 1 an
    image is zoomed by up to ×1.25 or ×0.8, shifted by up to an eighth of its side, rotated by up
    to 12°, and its brightness and contrast change by up to 20 %. Random numbers come from
    PyTorch's global generator; of several processes, each draws those of all and takes its share.
    """
    everyone, device = len(images) * world(), images.device

    def uniform(low: float, high: float) -> Tensor:
        return share(torch.empty(everyone, device=device).uniform_(low, high))

    flip = share(torch.randint(0, 2, (everyone,), device=device)) * 2.0 - 1.0
    angle = uniform(-1, 1) * strength * math.radians(12)
    zoom = torch.exp(uniform(-1, 1) * strength * math.log(1.25))
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    across, down = (uniform(-0.25, 0.25) * strength for _ in range(2))
    theta = torch.stack([cos * flip, -sin, across, sin * flip, cos, down], 1).view(-1, 2, 3)
    with torch.autocast(device.type, enabled=False):  # bf16 has no place for half a pixel
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid.to(images.dtype), "bilinear", "reflection", False)
    if strength == 0:
        return moved
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    contrast = 1 + uniform(-0.2, 0.2)[:, None, None, None] * strength
    brightness = uniform(-0.2, 0.2)[:, None, None, None] * strength
    return (moved - mean) * contrast + mean + brightness


def quarter_turns(images: Tensor) -> tuple[Tensor, Tensor]:
    """Images turned by 0, 90, 180 and 270 degrees in turn, and by how many quarters each was.

    Shapes: images (B, C, S, S) → the same shape, turns (B,) of 0 to 3.
    """
    turns = share(torch.arange(len(images) * world(), device=images.device)) % 4
    turned = torch.empty_like(images)
    for first in range(4):  # every fourth image of a process is turned alike
        turn = (rank() + first * world()) % 4
        turned[first::4] = torch.rot90(images[first::4], turn, (2, 3))
    return turned, turns


def augment_strongly(images: Tensor, strength: float = 2.0) -> Tensor:
    """`augment`, then another tint for each image and a gray square over a part of it.

    The strong view of FixMatch (Sohn et al. 2020, arXiv:2001.07685, section 2.3) from
    differentiable parts, so that generated images can pass through it too.

    Shapes as `augment`. The tint scales each channel by up to 30 %; the square (cutout, DeVries
    and Taylor 2017, arXiv:1708.04552) has half the image's side and may reach over its edge.
    """
    everyone, side, device = len(images) * world(), images.shape[-1], images.device
    moved = augment(images, strength)
    mean = moved.mean(dim=(1, 2, 3), keepdim=True)
    tint = share(torch.empty(everyone, 3, 1, 1, device=device).uniform_(0.7, 1.3))
    tinted = (moved - mean) * tint + mean
    center = share(torch.rand(everyone, 2, device=device)) * side
    along = torch.arange(side, device=device)
    rows, columns = ((along - c[:, None]).abs() < side / 4 for c in center.unbind(1))
    hidden = (rows[:, None, :, None] & columns[:, None, None, :]).to(tinted.dtype)
    return tinted * (1 - hidden) + mean * hidden


def crop_and_recolor(images: Tensor) -> Tensor:
    """A random part of each image, flipped or not, in other colors, at times gray or blurred.

    The augmentation by which SimCLR's features are learned (Chen et al. 2020, arXiv:2002.05709,
    appendix A), from differentiable parts: a crop of 20 to 100 % of the area, enlarged to the whole
    side; each channel scaled by up to 40 %, brightness and contrast changed by as much; one image
    in five gray, one in two blurred. Shapes and random numbers as `augment`.
    """
    everyone, device = len(images) * world(), images.device

    def uniform(low: float, high: float) -> Tensor:
        return share(torch.empty(everyone, device=device).uniform_(low, high))

    side = uniform(0.2, 1).sqrt()
    flip = share(torch.randint(0, 2, (everyone,), device=device)) * 2.0 - 1.0
    across, down = ((1 - side) * uniform(-1, 1) for _ in range(2))
    none = torch.zeros_like(side)
    theta = torch.stack([side * flip, none, across, none, side, down], 1).view(-1, 2, 3)
    with torch.autocast(device.type, enabled=False):
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    cropped = F.grid_sample(images, grid.to(images.dtype), "bilinear", "reflection", False)

    def column(values: Tensor) -> Tensor:
        return values[:, None, None, None]

    mean = cropped.mean((1, 2, 3), keepdim=True)
    tint = share(torch.empty(everyone, 3, 1, 1, device=device).uniform_(0.6, 1.4))
    colored = (cropped - mean) * tint * column(uniform(0.6, 1.4)) + mean
    colored = colored + column(uniform(-0.4, 0.4))
    gray = colored.mean(1, keepdim=True).expand_as(colored)
    seen = torch.where(column(uniform(0, 1)) < 0.2, gray, colored)
    blurred = F.avg_pool2d(F.pad(seen, (1, 1, 1, 1), "reflect"), 3, stride=1)
    return torch.where(column(uniform(0, 1)) < 0.5, blurred, seen)
