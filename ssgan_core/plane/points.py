"""Points in the plane: two rings, two moons, and the few labels drawn from them."""

import dataclasses
import hashlib
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from sklearn.datasets import make_circles, make_moons
from torch import Tensor

from ssgan_core.errors import InputError

INNER = 0.5  # radius of the inner ring; the outer one's is 1


@dataclasses.dataclass(frozen=True)
class PlaneData:
    """A training cloud and a test cloud of the same law: points (N, 2), classes (N,) in {0, 1}."""

    name: str
    points: Tensor
    classes: Tensor
    test_points: Tensor
    test_classes: Tensor
    gap: tuple[float, float] | None = None  # radii between which lies the gap of the rings

    @property
    def checksum(self) -> str:
        """sha256 over all four tensors."""
        parts = (self.points, self.classes, self.test_points, self.test_classes)
        return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def rings(points: int = 2000, noise: float = 0.05, seed: int = 0) -> PlaneData:
    """Two noisy rings (scikit-learn's make_circles): class 0 outside, class 1 inside.

    Raises InputError when three standard deviations of noise from either side close the gap.
    """
    limit = (1 - INNER) / 6
    if not 0 <= noise <= limit:
        raise InputError(
            f"parameter 'noise' is {noise}: the rings merge; accepted: 0 to {limit:.3f}"
        )
    make = partial(make_circles, points, noise=noise, factor=INNER)
    return _clouds("rings", make, seed, gap=(INNER + 3 * noise, 1 - 3 * noise))


def moons(points: int = 2000, noise: float = 0.06, seed: int = 0) -> PlaneData:
    """Two interleaved half circles (scikit-learn's make_moons), centered; class 0 is the upper.

    Raises InputError when the noise makes the moons touch.
    """
    if not 0 <= noise <= 0.08:
        raise InputError(f"parameter 'noise' is {noise}: the moons merge; accepted: 0 to 0.08")
    return _clouds("moons", partial(make_moons, points, noise=noise), seed, center=(0.5, 0.25))


def _clouds(name: str, make: Callable, seed: int, center=(0.0, 0.0), gap=None) -> PlaneData:
    parts = []
    for random_state in (seed, seed + 100_000):
        x, y = make(random_state=random_state)
        parts += [torch.tensor(x - center, dtype=torch.float32), torch.tensor(y)]
    return PlaneData(name, *parts, gap)


def draw_labeled(classes: Tensor, per_class: int, seed: int) -> Tensor:
    """Row numbers of `per_class` random points of each class, class by class.

    Raises InputError when `per_class` is below 1 or above the size of the smallest class.
    """
    available = int(torch.bincount(classes).min())
    if not 1 <= per_class <= available:
        raise InputError(
            f"parameter 'labels_per_ring' is {per_class}; "
            f"accepted: 1 to {available}, the points of a ring"
        )
    random = np.random.default_rng([seed, per_class])
    rows = [
        random.choice(np.flatnonzero(classes.numpy() == label), per_class, replace=False)
        for label in range(int(classes.max()) + 1)
    ]
    return torch.tensor(np.concatenate(rows))


def draw_many(classes: Tensor, per_class: int, draws: int, seed: int, width: int) -> Tensor:
    """`draws` label draws as one (draws, width) table of rows, each draw repeated to that width.

    Repeating a draw a whole number of times leaves the mean over it unchanged, so draws of
    different sizes can share one tensor program. Raises InputError when `width` is not a multiple
    of the size of a draw.
    """
    rows = torch.stack([draw_labeled(classes, per_class, seed + d) for d in range(draws)])
    if width % rows.shape[1]:
        raise InputError(f"width must be a multiple of {rows.shape[1]} labels, found {width}")
    return rows.repeat(1, width // rows.shape[1])


def article_labels(data: PlaneData) -> Tensor:
    """Rows of a draw like the article's drawing: four labels outside, three inside."""
    outer, inner = (100, 150, 200, 330), (80, 210, 350)
    radii = data.points.norm(dim=-1)
    rows = []
    for label, angles in ((0, outer), (1, inner)):
        radius = radii[data.classes == label].mean()
        angle = torch.deg2rad(torch.tensor(angles, dtype=torch.float32))
        targets = radius * torch.stack([angle.cos(), angle.sin()], -1)
        distance = torch.cdist(targets, data.points)
        rows.append(distance.masked_fill(data.classes != label, torch.inf).argmin(-1))
    return torch.cat(rows)
