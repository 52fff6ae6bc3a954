"""One training step on digits, with a GAN or without: a method is the weights of its terms."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ssgan_core import losses
from ssgan_core.device import Hardware, descend
from ssgan_core.digits.images import CLASSES
from ssgan_core.digits.networks import Discriminator, Generator, with_same_noise
from ssgan_core.errors import InputError

EMA_EVERY = 10  # steps between updates of the EMA of the weights
BASELINE_STEPS = 2000  # at most: without a generator the loss is flat long before
FALL = 6000  # steps at most in which the learning rate falls: ten passes over MNIST
LATE = ("pseudo", "consistency", "entropy")  # of the classifier's terms; they trust its guesses
COMPONENTS = 16  # principal components in which the density of images is estimated
KERNELS = 1000  # images that carry a kernel; as many others set the threshold


class Weights(NamedTuple):
    """What multiplies each loss term; a term of weight 0 is not computed.

    Of the classifier: cross-entropy on labels; on its own guesses (Lee 2013); `consistency` with
    the EMA of its weights; virtual adversarial training; conditional entropy (Grandvalet and Bengio
    2004); real and generated images told apart, with which a generator comes that matches features.
    Of the generator beside that: pull-away and low density; one that is `frozen` has no loss and
    keeps its first weights. Without `norm_logits` D has its logits as beside a GAN, without batch
    norm.
    """

    labeled: float = 1.0
    pseudo: float = 0.0
    consistency: float = 0.0
    vat: float = 0.0
    entropy: float = 0.0
    gan: float = 0.0
    pull_away: float = 0.0
    low_density: float = 0.0
    frozen: bool = False
    norm_logits: bool = True


# Tried on 300 of the 8×8 training images held out, draws 1000 to 1009: mean accuracy in % after
# 1200 steps, with 10, 20, 50 labels (sd over draws 2-9). Without a GAN, logits under batch norm:
#   labels alone 70 79 88; VAT 75 84; consistency 3: – 85; 10: – 86; pseudo 1: – 90; 3: – 89 92;
#   entropy 0.01: – 82 89; 0.1: – 87; 0.3: – 89; 1: – 91; 3: – 90 93;
# and without: labels alone 64 77 87; VAT 63 80; consistency 3: 74 83 90; pseudo 1: 63 76 87;
#   entropy 0.1: 64 78 88. With a GAN it costs: feature matching 64 81, not 81 89; the latter with
#   entropy 0.3, 1 beside it: 78 88, 75 87.
# One draw of MNIST, 100 labels, 1500 steps: labels alone 79; VAT 88, without batch norm 69 and
# falling (it flattens all but the labeled images); with epsilon 0.02, 0.04: 89, 86; with a learned
# scale, as its authors have it, 82; twice the scale 85; without noise 65; with entropy 0.1: 83.
# Epsilon anew on draw 1000 with 5,000 training images held out, 0.0025, 0.005, … 0.04: 87, 90, 92,
# 93, 92.
METHODS = {
    "supervised": Weights(),
    "supervised_without_norm": Weights(norm_logits=False),
    "pseudo_label": Weights(pseudo=1.0),
    "mean_teacher": Weights(consistency=3.0),
    "vat": Weights(vat=1.0),
    "entropy": Weights(entropy=1.0),
    "feature_matching": Weights(gan=1.0),
    "feature_matching_frozen": Weights(gan=1.0, frozen=True),
    "complement": Weights(gan=1.0, entropy=0.1, pull_away=0.1, low_density=0.01),
    "matching_vat": Weights(gan=1.0, vat=1.0),
}


@dataclass(frozen=True)
class Recipe:
    """What one training run does.

    Its terms have the weights of its method, or its own. `epsilon` is how far VAT changes an image:
    the root mean square over its pixels, which lie in 0..1.
    """

    method: str = "feature_matching"
    steps: int = 2000
    batch: int = 100
    learning_rate: float = 3e-3
    form: losses.Form = losses.IMPLICIT
    own_weights: Weights | None = None
    epsilon: float = 0.01

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method {self.method!r} is unknown; accepted: {', '.join(METHODS)}")
        if self.weights.frozen and not self.weights.gan:
            raise InputError(
                f"method {self.method!r} has no gan, and cannot have frozen; "
                "set gan, or leave frozen out"
            )

    @property
    def weights(self) -> Weights:
        return self.own_weights or METHODS[self.method]

    def rate(self, step: int) -> float:
        """Factor of the learning rate: 1, then down to 0 in a line over the last steps.

        They are half of all, and `FALL` at most: a rate that falls ends the learning, and the
        reference, whose rate stays, learns for 300 passes (arXiv:1606.03498's code).
        """
        return min(1.0, (self.steps - step) / min(self.steps / 2, FALL))

    @property
    def norm_logits(self) -> bool:
        """Whether D has batch norm on its logits: not with a GAN, whose D is their level."""
        return self.weights.norm_logits and not self.weights.gan

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
    late: float | Tensor,
    hardware: Hardware,
    density: Density | None = None,
    teacher: nn.Module | None = None,
) -> dict[str, Tensor]:
    """One update of D and, with a GAN, one of G against the D just updated; the terms, each (R,).

    A frozen G gets none.  Beside a GAN D has no batch norm, so labeled, unlabeled and generated
    images pass through it together: each row's result is the same as in three passes.  `late` is
    the weight, 0 to 1, of the terms that enter late; `teacher` the EMA of D, with noise of its own.
    Source: Salimans et al. 2016, sections 3.1 and 5.
    """
    weights, size = recipe.weights, batch.unlabeled.shape[1]
    guessing = weights.pseudo or weights.consistency or weights.entropy
    optimizer_g, optimizer_d = optimizers
    with hardware.autocast():
        if weights.gan:
            with torch.no_grad():
                fake = generator.sample(size)
            parts = [batch.labeled, batch.unlabeled, fake]
            logits, _ = discriminator(torch.cat(parts, 1))
            of_labeled, of_real, of_fake = logits.split([part.shape[1] for part in parts], 1)
        else:  # with batch norm: labeled and unlabeled images have statistics of their own
            of_labeled, _ = discriminator(batch.labeled)
            if guessing:
                of_real, _ = discriminator(batch.unlabeled)
    if guessing:
        classes = of_real[..., :CLASSES]
    terms = {"labeled": losses.labeled_loss(of_labeled, batch.labels)}
    if weights.gan:
        terms["real"] = recipe.form.real(of_real)
        terms["fake"] = recipe.form.fake(of_fake)
    if weights.pseudo:
        terms["pseudo"] = losses.labeled_loss(classes, classes.argmax(-1))
    if weights.consistency:
        with torch.no_grad(), hardware.autocast():
            of_teacher, _ = teacher(batch.unlabeled)
        terms["consistency"] = losses.mean_teacher(of_teacher[..., :CLASSES], classes)
    if weights.entropy:
        terms["entropy"] = losses.conditional_entropy(classes)
    if weights.vat:
        norm = recipe.epsilon * batch.unlabeled.shape[-1] ** 0.5
        with parametrize.cached():  # in fp32, for the differences are small
            terms["vat"] = losses.vat(with_same_noise(discriminator), batch.unlabeled, norm)
    each = {"labeled": weights.labeled, "real": weights.gan / 2, "fake": weights.gan / 2}
    each |= {"vat": weights.vat} | {name: late * getattr(weights, name) for name in LATE}
    descend(optimizer_d, sum(each[name] * term for name, term in terms.items()))

    if weights.gan and not weights.frozen:
        with hardware.autocast(), parametrize.cached():  # normalized weights serve both passes
            fake = generator.sample(size)
            _, fake_features = discriminator(fake)
            with torch.no_grad():
                _, real_features = discriminator(batch.unlabeled)
        loss_g = terms["matching"] = losses.feature_matching(real_features, fake_features)
        if weights.pull_away:
            terms["pull_away"] = losses.pull_away(fake_features)
            loss_g = loss_g + weights.pull_away * terms["pull_away"]
        if weights.low_density:
            terms["low_density"] = density.penalty(fake)
            loss_g = loss_g + late * weights.low_density * terms["low_density"]
        descend(optimizer_g, loss_g)
    return {name: term.detach() for name, term in terms.items()}
