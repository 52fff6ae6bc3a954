"""Training of semi-supervised GANs in the plane, many runs in one tensor program."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Self

import torch
from torch import Tensor

from ssgan_core import losses
from ssgan_core.device import descend
from ssgan_core.errors import InputError
from ssgan_core.plane.networks import StackedMLP
from ssgan_core.plane.points import PlaneData
from ssgan_core.plane.settings import Recipe

LEARNED = ("vanilla", "matching", "complement")
POOLED = ("oracle", "perfect")  # draw from points outside the data, and from the data
NOISE = 4  # dimensions of z
CHUNK = 50  # steps whose random numbers are drawn together
CENTERS = 300  # unlabeled points that carry a kernel of the density


@dataclasses.dataclass
class Density:
    """What is known of the data's density: kernel centers and the threshold log epsilon."""

    centers: Tensor
    bandwidth: float
    log_threshold: float
    outside: Tensor  # points uniform in the box where the density is below the threshold

    @classmethod
    def of(cls, points: Tensor, recipe: Recipe) -> Self:
        """Kernel estimate from the unlabeled points; epsilon is a quantile over them."""
        random = torch.Generator().manual_seed(0)
        chosen = points[torch.randperm(len(points), generator=random)[:CENTERS]]
        at_data = losses.kde_log_density(points, chosen, recipe.bandwidth)
        threshold = float(at_data.quantile(recipe.quantile))
        box = (torch.rand(20_000, 2, generator=random) * 2 - 1) * recipe.box
        outside = box[losses.kde_log_density(box, chosen, recipe.bandwidth) < threshold]
        return cls(chosen, recipe.bandwidth, threshold, outside)

    def low(self, points: Tensor) -> Tensor:
        """True where a point (..., 2) lies below the threshold."""
        return losses.kde_log_density(points, self.centers, self.bandwidth) < self.log_threshold


def random_numbers(
    seeds: Sequence[int], batch: int, points: int, pool: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Random numbers of step after step; run r sees the same ones alone and in any stack.

    Unlabeled rows (R, B), rows of the pool (R, B), noise (2, R, B, z) and jitter (R, B, 2).
    """
    generators = [torch.Generator().manual_seed(seed + 7919) for seed in seeds]
    size = (CHUNK, batch)
    while True:
        drawn = [
            (
                torch.randint(points, size, generator=g),
                torch.randint(pool, size, generator=g),
                torch.randn(CHUNK, 2, batch, NOISE, generator=g),
                torch.randn(*size, 2, generator=g),
            )
            for g in generators
        ]
        rows, other, noise, jitter = (torch.stack(part, 1) for part in zip(*drawn, strict=True))
        yield from zip(rows, other, noise.transpose(1, 2), jitter, strict=True)


def classifier_loss(
    logits: dict[str, Tensor], labels: Tensor, recipe: Recipe, progress: float
) -> Tensor:
    """Loss (R,) of the classifier at a moment of training, `progress` in 0..1."""
    loss = torch.zeros(())
    if progress >= recipe.labeled_start:
        loss = loss + recipe.labeled_weight * losses.labeled_loss(logits["labeled"], labels)
    if recipe.generator != "none":
        loss = loss + losses.real_loss(logits["unlabeled"])
        loss = loss + losses.fake_loss(logits["generated"])
    if recipe.entropy_weight and progress > recipe.entropy_start:
        ramp = (progress - recipe.entropy_start) / (1 - recipe.entropy_start)
        entropy = losses.conditional_entropy(logits["unlabeled"])
        loss = loss + recipe.entropy_weight * ramp * entropy
    if recipe.consistency_weight:
        change = logits["jittered"].softmax(-1) - logits["unlabeled"].softmax(-1)
        loss = loss + recipe.consistency_weight * change.square().sum(-1).mean(-1)
    return loss


def generator_loss(
    classifier: StackedMLP, fake: Tensor, real: Tensor, density: Density, recipe: Recipe,
    progress: float,
) -> Tensor:  # fmt: skip
    """Loss (R,) of a learned generator."""
    logits, features = classifier(fake)
    if recipe.generator == "vanilla":
        return losses.generator_loss(logits)
    with torch.no_grad():
        _, real_features = classifier(real)
    loss = recipe.matching_weight * losses.feature_matching(real_features, features)
    if recipe.generator == "complement":
        loss = loss + recipe.pull_away_weight * losses.pull_away(features)
        if progress >= recipe.low_density_start:
            loss = loss + recipe.low_density_weight * losses.low_density(
                fake, density.centers, density.bandwidth, density.log_threshold
            )
    return loss


@dataclasses.dataclass
class Trained:
    """R trained runs: their accuracy (R,) on the test cloud, and what `watch` returned.

    `pool` are the points that stand for generated ones where no network makes any.
    """

    recipe: Recipe
    classifier: StackedMLP
    generator: StackedMLP | None
    density: Density
    pool: Tensor
    accuracy: Tensor
    snapshots: list

    @torch.no_grad()
    def generate(self, count: int, seed: int = 0) -> Tensor:
        """(R, count, 2) generated points; an empty set without a generator."""
        runs = len(self.accuracy)
        random = torch.Generator().manual_seed(seed)
        if self.recipe.generator in POOLED:
            return self.pool[torch.randint(len(self.pool), (runs, count), generator=random)]
        if self.generator is None:
            return torch.zeros(runs, 0, 2)
        return self.generator(torch.randn(runs, count, NOISE, generator=random))[0]


def train(
    data: PlaneData,
    labeled: Tensor,
    recipe: Recipe,
    steps: int,
    seeds: Sequence[int],
    watch: Callable | None = None,
    every: int = 0,
) -> Trained:
    """Train one run a row of `labeled` (R, L), all in one tensor program.

    Parameters
    ----------
    labeled : rows of the labeled points of each run.
    seeds : one a run; they fix its networks, batches and noise.
    watch, every : `watch(step, classifier, generated)` is called every so many steps and after
        the last, and what it returns is kept in `snapshots`.

    Raises InputError for no labels, no steps, or not one seed a run.
    """
    if labeled.ndim != 2 or labeled.shape[1] == 0:
        raise InputError("parameter 'labeled' has 0 labels a run; accepted: 1 or more")
    if len(seeds) != len(labeled):
        raise InputError(f"seeds has {len(seeds)} entries; accepted: {len(labeled)}, one a run")
    if steps < 1:
        raise InputError(f"parameter 'steps' is {steps}; accepted: 1 or more")
    density = Density.of(data.points, recipe)
    width = recipe.width
    classifier = StackedMLP((2, width, width, width, recipe.logits), seeds, recipe.tied_logits)
    adam = partial(torch.optim.Adam, betas=(0.5, 0.99), fused=True)
    classifier_adam = adam(classifier.parameters(), recipe.learning_rate)
    generator = None
    if recipe.generator in LEARNED:
        generator = StackedMLP((NOISE, width, width, 2), [seed + 10_000 for seed in seeds])
        generator_adam = adam(generator.parameters(), recipe.generator_rate)
    pool = data.points if recipe.generator == "perfect" else density.outside
    drawn = random_numbers(seeds, recipe.batch, len(data.points), len(pool))
    points, labels = data.points[labeled], data.classes[labeled]
    snapshots = []

    for step, (rows, other, noise, jitter) in zip(range(steps), drawn, strict=False):
        progress = step / steps
        parts = {"labeled": points, "unlabeled": data.points[rows]}
        if generator is not None:
            with torch.no_grad():
                parts["generated"] = generator(noise[0])[0]
        elif recipe.generator in POOLED:
            parts["generated"] = pool[other]
        if recipe.consistency_weight:
            parts["jittered"] = parts["unlabeled"] + recipe.jitter * jitter
        outputs, _ = classifier(torch.cat(list(parts.values()), 1))
        sizes = [part.shape[1] for part in parts.values()]
        logits = dict(zip(parts, outputs.split(sizes, 1), strict=True))
        loss = classifier_loss(logits, labels, recipe, progress)
        if loss.requires_grad:
            descend(classifier_adam, loss)
        if generator is not None:
            fake, real = generator(noise[1])[0], parts["unlabeled"]
            loss = generator_loss(classifier, fake, real, density, recipe, progress)
            descend(generator_adam, loss)
        if watch and ((every and step % every == 0) or step == steps - 1):
            snapshots.append(watch(step, classifier, parts.get("generated")))
    with torch.no_grad():
        right = classifier(data.test_points)[0].argmax(-1) == data.test_classes
    accuracy = right.float().mean(-1)
    return Trained(recipe, classifier, generator, density, pool, accuracy, snapshots)


def train_gan(
    data: PlaneData, recipe: Recipe, steps: int, seeds: Sequence[int],
    watch: Callable | None = None, every: int = 0,
) -> Trained:  # fmt: skip
    """Train ordinary GANs, one a seed: a single logit, no labels (accuracy then means nothing)."""
    recipe = dataclasses.replace(recipe, logits=1, labeled_start=1.0)
    unused = torch.zeros(len(seeds), 1, dtype=torch.long)
    return train(data, unused, recipe, steps, seeds, watch, every)
