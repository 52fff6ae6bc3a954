"""One training step on digits: the semi-supervised GAN, and the same network without a GAN."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Self

import torch
from sklearn.decomposition import PCA
from torch import Tensor
from torch.nn.utils import parametrize

from ssgan_core import losses
from ssgan_core.device import Hardware, descend
from ssgan_core.digits.images import CLASSES
from ssgan_core.digits.networks import Discriminator, Generator

EMA_EVERY = 10  # steps between updates of the EMA of the weights
BASELINE_STEPS = 2000  # at most: without a generator the loss is flat long before
FALL = 6000  # steps at most in which the learning rate falls: ten passes over MNIST
COMPONENTS = 16  # principal components in which the density of images is estimated
KERNELS = 1000  # images that carry a kernel; as many others set the threshold

Method = Literal["supervised", "pseudo_label", "feature_matching", "complement"]


@dataclass(frozen=True)
class Recipe:
    """What one training run does; the weights multiply the loss terms of `train_step`."""

    method: Method = "feature_matching"
    steps: int = 2000
    batch: int = 100
    learning_rate: float = 3e-3
    labeled_weight: float = 1.0
    form: losses.Form = losses.IMPLICIT
    pull_away: float = 0.1
    low_density: float = 0.01
    entropy: float = 0.1

    @property
    def uses_generator(self) -> bool:
        return self.method in ("feature_matching", "complement")

    def rate(self, step: int) -> float:
        """Factor of the learning rate: 1, then down to 0 in a line over the last steps.

        They are half of all, and `FALL` at most: a rate that falls ends the learning, and the
        reference, whose rate stays, learns for 300 passes (arXiv:1606.03498's code).
        """
        return min(1.0, (self.steps - step) / min(self.steps / 2, FALL))

    @property
    def ema(self) -> float:
        """Decay of the EMA at each of its updates: it spans 5% of the run."""
        return max(0.0, 1 - EMA_EVERY / (0.05 * self.steps))

    def late(self, step: int) -> float:
        """Weight of the terms that would lock in wrong labels early: 0, then up to 1."""
        return min(1.0, max(0.0, (step / self.steps - 0.2) / 0.4))


@dataclass(frozen=True)
class Density:
    """log p of images from a Gaussian kernel estimate over their principal components.

    Bad GAN uses a PixelCNN++ here (Dai et al. 2017, section 5); this stand-in needs no training.
    `threshold` is the 10th percentile of log p over real images that carry no kernel.
    """

    mean: Tensor  # (P,)
    basis: Tensor  # (P, COMPONENTS)
    kernels: Tensor  # (N, COMPONENTS)
    bandwidth: float
    threshold: float

    @classmethod
    def fit(cls, images: Tensor) -> Self:
        """Estimate from real images (N, P), with the bandwidth of Scott's rule."""
        random = torch.Generator().manual_seed(0)
        images = images[torch.randperm(len(images), generator=random)[: 2 * KERNELS]]
        half = min(KERNELS, len(images) // 2)
        pca = PCA(COMPONENTS, random_state=0).fit(images.numpy())
        mean, basis = torch.from_numpy(pca.mean_), torch.from_numpy(pca.components_.T.copy())
        points = (images - mean) @ basis
        kernels, others = points[:half], points[half:]
        bandwidth = float(kernels.std(0).mean()) * half ** (-1 / (COMPONENTS + 4))
        threshold = float(losses.kde_log_density(others, kernels, bandwidth).quantile(0.1))
        return cls(mean, basis, kernels, bandwidth, threshold)

    def to(self, device: torch.device) -> Self:
        moved = {name: getattr(self, name).to(device) for name in ("mean", "basis", "kernels")}
        return replace(self, **moved)

    def penalty(self, images: Tensor) -> Tensor:
        """How far log p of images (R, B, P) exceeds the threshold on average, (R,)."""
        points = (images.float() - self.mean) @ self.basis
        return losses.low_density(points, self.kernels, self.bandwidth, self.threshold)


class Batch(NamedTuple):
    """One step's images: labeled (R, L, P) with labels (R, L), unlabeled (R, B, P)."""

    labeled: Tensor
    labels: Tensor
    unlabeled: Tensor


def draw_batch(images: Tensor, labels: Tensor, rows: Tensor, size: int) -> Batch:
    """A random batch: `size` unlabeled images, and all labeled rows (R, n) or `size` of them."""
    runs, n = rows.shape
    if n > size:
        rows = rows.gather(1, torch.rand(runs, n).argsort(1)[:, :size].to(rows.device))
    unlabeled = torch.randint(len(images), (runs, size)).to(images.device)
    return Batch(images[rows], labels[rows], images[unlabeled])


def train_step(
    generator: Generator,
    discriminator: Discriminator,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    batch: Batch,
    recipe: Recipe,
    late: float,
    hardware: Hardware,
    density: Density | None = None,
) -> dict[str, Tensor]:
    """One update of D, then one of G against the D just updated; the loss terms, each (R,).

    D has no batch norm, so labeled, unlabeled and generated images pass through it together:
    each row's result is the same as in three passes.  `late` is the weight, 0 to 1, of the
    terms that enter late.  Source: Salimans et al. 2016, sections 3.1 and 5.
    """
    with hardware.autocast():
        with torch.no_grad():
            fake = generator.sample(batch.unlabeled.shape[1])
        logits, _ = discriminator(torch.cat([batch.labeled, batch.unlabeled, fake], 1))
    sizes = [batch.labeled.shape[1], batch.unlabeled.shape[1], fake.shape[1]]
    of_labeled, of_real, of_fake = logits.split(sizes, 1)
    terms = {
        "labeled": losses.labeled_loss(of_labeled, batch.labels),
        "real": recipe.form.real(of_real),
        "fake": recipe.form.fake(of_fake),
    }
    loss_d = recipe.labeled_weight * terms["labeled"] + (terms["real"] + terms["fake"]) / 2
    if recipe.method == "complement":
        terms["entropy"] = losses.conditional_entropy(of_real[..., :CLASSES])
        loss_d = loss_d + late * recipe.entropy * terms["entropy"]
    optimizer_g, optimizer_d = optimizers
    descend(optimizer_d, loss_d)

    with hardware.autocast(), parametrize.cached():  # D's normalized weights serve both passes
        fake = generator.sample(batch.unlabeled.shape[1])
        _, fake_features = discriminator(fake)
        with torch.no_grad():
            _, real_features = discriminator(batch.unlabeled)
    loss_g = terms["matching"] = losses.feature_matching(real_features, fake_features)
    if recipe.method == "complement":
        terms["pull_away"] = losses.pull_away(fake_features)
        terms["low_density"] = density.penalty(fake)
        loss_g = (
            loss_g
            + recipe.pull_away * terms["pull_away"]
            + late * recipe.low_density * terms["low_density"]
        )
    descend(optimizer_g, loss_g)
    return {name: term.detach() for name, term in terms.items()}


def baseline_step(
    discriminator: Discriminator,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    recipe: Recipe,
    late: float,
    hardware: Hardware,
) -> dict[str, Tensor]:
    """The same network without a GAN: labels alone, or labels and its own guesses (Lee 2013)."""
    terms = {}
    images = batch.labeled
    if recipe.method == "pseudo_label":
        images = torch.cat([images, batch.unlabeled], 1)
    with hardware.autocast():
        logits, _ = discriminator(images)
    of_labeled, of_real = logits.tensor_split([batch.labels.shape[1]], 1)
    terms["labeled"] = loss = losses.labeled_loss(of_labeled, batch.labels)
    if recipe.method == "pseudo_label":
        terms["pseudo"] = losses.labeled_loss(of_real, of_real.argmax(-1))
        loss = loss + late * terms["pseudo"]
    descend(optimizer, loss)
    return {name: term.detach() for name, term in terms.items()}
