"""One training step of a classifier of photographs, with or without a GAN, on one page.

The K logits double as the discriminator, D(x) = Z / (Z + 1) with Z the sum of their exponentials
(Salimans et al. 2016, arXiv:1606.03498, section 5; the article).
"""

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ssgan_core import losses
from ssgan_core.device import (
    Hardware,
    average,
    descend,
    set_rate,
    share,
    synchronized,
    world,
)
from ssgan_core.errors import InputError
from ssgan_core.loop import Kept
from ssgan_core.photos.augment import augment, augment_strongly, crop_and_recolor, quarter_turns
from ssgan_core.photos.decode import to_range
from ssgan_core.photos.networks import Generator, ResNet18
from ssgan_core.ssgan.recipes import Recipe

BETAS = (0.5, 0.999)  # Adam's, as in DCGAN and the article
WEAK = 0.25  # strength of the weak view's augmentation
REMEMBERED = 128  # steps over which the classes of weak views are averaged, as in ReMixMatch
TEMPERATURE = 0.2  # of the contrast between images, as in MoCo v3
WHOLE = 64  # side in pixels from which on ImageNet's first layers are used; none shrinks below it


@dataclass
class Learner:
    """What a recipe trains: networks, optimizers, and the EMA of the classifier's weights.

    `shares` (K,) are those of the classes: among the labels, and in weak views on average.
    """

    recipe: Recipe
    hardware: Hardware
    classifier: ResNet18
    generator: Generator | None
    optimizer: torch.optim.Optimizer
    generator_optimizer: torch.optim.Optimizer | None
    ema: AveragedModel | None
    size: int
    rate: float
    shares: Kept

    @property
    def teacher(self) -> ResNet18:
        """The classifier's EMA where there is one: a mean teacher (Tarvainen and Valpola 2017,
        arXiv:1703.01780)."""
        return self.ema.module if self.ema else self.classifier

    def begin_at(self, weights: Mapping[str, Tensor]) -> None:
        """Take over a network's weights, all but those of its last layer; the EMA begins there too.

        Heads of other tasks are passed over where this recipe has none. Raises InputError where
        the networks differ in width or first layer.
        """
        here = self.classifier.state_dict()
        taken = {name: w for name, w in weights.items() if name in here and "fc." not in name}
        if odd := [name for name, w in taken.items() if w.shape != here[name].shape]:
            sizes = [tuple(held[odd[0]].shape) for held in (weights, here)]
            raise InputError(
                f"the features' {odd[0]} has the shape {sizes[0]}, the classifier's {sizes[1]}; "
                "give the width and size that the features were learned with"
            )
        self.classifier.load_state_dict(taken, strict=False)
        if self.ema:
            self.teacher.load_state_dict(self.classifier.state_dict())

    def images(self, batch: Tensor, reduction: int = 1) -> Tensor:
        """uint8 (B, 3, S, S) → float of side S / reduction in the recipe's range, on the device."""
        batch = batch.to(self.hardware.device, non_blocking=True)
        images = reduced(to_range(batch, self.recipe.pixel_range), reduction)
        return images.contiguous(memory_format=torch.channels_last)

    def generated(self, noise: Tensor, reduction: int = 1) -> Tensor:
        """The generator's images of noise (B, z), in the range and of the side of real ones."""
        half = reduction > 1 and self.generator.grows
        low, high = self.recipe.pixel_range
        images = low + (self.generator(noise, half=half).float() + 1) * ((high - low) / 2)
        return images if half else reduced(images, reduction)


class Stage(NamedTuple):
    """What a step is at this point of a training: how much smaller its images are than the
    photographs' side, and whether it looks at generated ones."""

    reduction: int = 1
    generates: bool = True


def make_learner(
    recipe: Recipe, size: int, width: int, generator_width: int, classes: int, hardware: Hardware
) -> Learner:
    """Networks and optimizers of a recipe; weights come from PyTorch's global generator."""
    stem = recipe.stem or ("imagenet" if size >= WHOLE else "small")
    extra = {"turns": recipe.rotation > 0, "projection": recipe.contrast > 0}
    network = ResNet18(classes + recipe.explicit, width, stem, **extra)
    classifier, generator = hardware.place(synchronized(network)), None
    if recipe.gan:
        grows = recipe.grows and size >= 2 * WHOLE
        generator = Generator(size, width=generator_width, grows=grows)
        generator = hardware.place(synchronized(generator))
    rate = recipe.rate(width)
    on_gpu, first = hardware.device.type == "cuda", hardware.rate(rate)

    def adam(network: nn.Module) -> torch.optim.Adam:
        return torch.optim.Adam(network.parameters(), first, BETAS, fused=True, capturable=on_gpu)

    optimizer = adam(classifier)
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            classifier.parameters(), first, 0.9, weight_decay=recipe.weight_decay, fused=True
        )
    ema = AveragedModel(classifier) if recipe.ema else None
    generator_optimizer = adam(generator) if generator else None
    even = torch.full((classes,), 1 / classes, device=hardware.device)
    shares = Kept(labeled=even, predicted=even.clone())
    return Learner(
        recipe, hardware, classifier, generator, optimizer, generator_optimizer, ema, size, rate,
        shares,
    )  # fmt: skip


def schedule(learner: Learner, progress: float, step: int) -> Stage:
    """Set what changes in the course of a training, `progress` from 0 to 1; its stage.

    The learning rate is constant, or half a cosine from its highest value to 0. Images have half
    their side up to `small_first` (smaller images first; Touvron et al. 2019, arXiv:1906.06423),
    unless that is less than 64 pixels. Generated images are looked at in the first step and in
    every `gan_every`-th after it. The EMA spans the last tenth of the steps so far, and a fixed
    number of them once its decay has reached the recipe's.
    """
    recipe, rate = learner.recipe, learner.rate
    if recipe.cosine:
        rate *= 0.5 * (1 + math.cos(math.pi * progress))
    for optimizer in (learner.optimizer, learner.generator_optimizer):
        if optimizer:
            set_rate(optimizer, rate)
    if learner.ema:
        decay = min(recipe.ema, (1 + step) / (10 + step))
        learner.ema.multi_avg_fn = get_ema_multi_avg_fn(decay)
    early = recipe.small_first > 0 and progress <= recipe.small_first
    reduction = 2 if early and learner.size >= 2 * WHOLE else 1
    return Stage(reduction, recipe.gan and step % recipe.gan_every == 0)


def supervised_step(
    learner: Learner, stage: Stage, images: Tensor, labels: Tensor
) -> dict[str, Tensor]:
    """One step on labeled images alone: images (B, 3, S, S) uint8, labels (B,)."""
    images = learner.images(images, stage.reduction)
    with learner.hardware.autocast():
        logits, _ = learner.classifier(augmented(images, learner.recipe))
    loss = losses.labeled_loss(logits, labels.to(logits.device))
    descend(learner.optimizer, loss)
    return {"labeled": loss.detach()}


def ssgan_step(
    learner: Learner, stage: Stage, images: Tensor, labels: Tensor, unlabeled: Tensor
) -> dict[str, Tensor]:
    """One step on labeled and unlabeled images: first the classifier, then the generator, if any.

    The classifier learns the labels, raises log Z on real images and lowers it on generated ones.
    Where the recipe asks for consistency, it also has to give a strongly changed view of an
    unlabeled image the class that its EMA is sure to see in a weakly changed one; where it asks
    for contrast, to find the image again among the weakly changed ones; where it asks for
    rotation prediction, to tell how an unlabeled image was turned. Labeled, unlabeled and
    generated images pass through it separately. In the steps between two looks at generated
    images (`Recipe.gan_every`) all this happens without them; with no labeled image, features are
    learned without a label.
    """
    recipe, classifier, teacher = learner.recipe, learner.classifier, learner.teacher
    labeled, real = (learner.images(batch, stage.reduction) for batch in (images, unlabeled))
    form = losses.EXPLICIT if recipe.explicit else losses.IMPLICIT
    terms = {}
    with learner.hardware.autocast():
        if len(labeled):
            logits, _ = classifier(augmented(labeled, recipe))
            terms["labeled"] = losses.labeled_loss(logits, labels.to(real.device))
        real_logits, real_features = classifier(view(real, recipe))
        if recipe.two_views:
            weak_logits, weak_features = weak_view(teacher, real)
        if recipe.aligned:
            weak_logits = aligned(weak_logits, learner.shares)
        if recipe.consistency:
            term = losses.consistency(weak_logits, real_logits, recipe.confidence)
            terms["consistency"] = recipe.consistency * term
        if recipe.contrast:
            queries = classifier.projection(real_features)
            with torch.no_grad():
                keys = teacher.projection(weak_features)
            terms["contrast"] = recipe.contrast * losses.contrast(queries, keys, TEMPERATURE)
        if recipe.rotation:
            turned, turns = quarter_turns(augmented(real, recipe))
            _, features = classifier(turned)
            term = losses.rotation_prediction(classifier.turns(features), turns)
            terms["rotation"] = recipe.rotation * term
        if recipe.entropy:
            terms["entropy"] = recipe.entropy * losses.conditional_entropy(real_logits)
        if stage.generates:
            noise = torch.randn(len(real) * world(), learner.generator.noise, device=real.device)
            fake = learner.generated(share(noise), stage.reduction)
            with untracked_statistics(classifier, recipe.fresh_statistics):
                fake_logits, _ = classifier(view(fake.detach(), recipe))
            terms["real"] = recipe.unlabeled_weight * form.real(real_logits)
            terms["fake"] = recipe.unlabeled_weight * form.fake(fake_logits)
    descend(learner.optimizer, sum(terms.values()))
    if stage.generates:
        terms["generator"] = generator_step(learner, fake, real_features.detach())
        terms["D(real)"] = discriminator(real_logits, recipe).mean()
        terms["D(fake)"] = discriminator(fake_logits, recipe).mean()
    return {name: term.detach() for name, term in terms.items()}


def generator_step(learner: Learner, fake: Tensor, real_features: Tensor) -> Tensor:
    """The generator's half of a step: its images `fake`, the features of unlabeled ones.

    It makes the classifier call its images real or, with feature matching, makes the mean of
    their features that of the unlabeled images; pull-away keeps them from being all alike.
    """
    recipe, classifier = learner.recipe, learner.classifier
    form = losses.EXPLICIT if recipe.explicit else losses.IMPLICIT
    with learner.hardware.autocast(), untracked_statistics(classifier, recipe.fresh_statistics):
        logits, features = classifier(view(fake, recipe))
    if recipe.feature_matching:
        loss = losses.feature_matching(real_features, features)
    else:
        loss = form.real(logits)
    if recipe.pull_away:
        loss = loss + recipe.pull_away * losses.pull_away(features)
    if not recipe.frozen:
        descend(learner.generator_optimizer, loss)
    return loss


def discriminator(logits: Tensor, recipe: Recipe) -> Tensor:
    """D(x), the probability of being real, (B,)."""
    if recipe.explicit:
        logits = logits[..., :-1] - logits[..., -1:]
    return torch.sigmoid(losses.log_z(logits))


def augmented(images: Tensor, recipe: Recipe) -> Tensor:
    """The recipe's augmentation of labeled images."""
    return images if recipe.augment is None else augment(images, recipe.augment)


def view(images: Tensor, recipe: Recipe) -> Tensor:
    """What stands for unlabeled and generated images: the same change for both."""
    if recipe.crops:
        return crop_and_recolor(images)
    if recipe.two_views:
        return augment_strongly(images, recipe.strong)
    return augmented(images, recipe)


@torch.no_grad()
def weak_view(teacher: ResNet18, images: Tensor) -> tuple[Tensor, Tensor]:
    """The teacher's logits and features of images flipped and hardly changed."""
    with untracked_statistics(teacher):
        return teacher(augment(images, WEAK))


@torch.no_grad()
def aligned(logits: Tensor, shares: Kept) -> Tensor:
    """Logits (B, K) of weak views, moved so that on average the classes come as often as labeled.

    Each probability is multiplied by the share of its class among the labels over its mean in
    recent weak views, which this batch joins: distribution alignment (ReMixMatch, Berthelot et al.
    2020, arXiv:1911.09785, section 3.1).
    """
    mean = average(logits.float().softmax(-1).mean(0))
    shares["predicted"].lerp_(mean, 1 / REMEMBERED)
    return logits + (shares["labeled"] / shares["predicted"]).log()


def reduced(images: Tensor, factor: int) -> Tensor:
    """Images (B, 3, S, S) → (B, 3, S / factor, S / factor), means of the pixels that merge."""
    return images if factor == 1 else avg_pool2d(images, factor)


@contextlib.contextmanager
def untracked_statistics(network: nn.Module, active: bool = True) -> Iterator[None]:
    """Batch norm normalizes by the batch as ever, but forgets the batch afterwards.

    Otherwise the running statistics used at evaluation would be, in part, those of generated
    images.
    """
    kinds = (nn.BatchNorm2d, nn.SyncBatchNorm)
    layers = [m for m in network.modules() if isinstance(m, kinds)] if active else []
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
