"""Training a classifier of photographs, with or without a GAN: one step of each, on one page.

The K logits double as the discriminator, D(x) = Z / (Z + 1) with Z the sum of their exponentials
(Salimans et al. 2016, arXiv:1606.03498, section 5; the article).
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ssgan_core import losses
from ssgan_core.hardware import Hardware
from ssgan_core.parallel import share, synchronized, world, wrap
from ssgan_core.photos.augment import augment, augment_strongly, quarter_turns
from ssgan_core.photos.decode import to_range
from ssgan_core.photos.generator import Generator
from ssgan_core.photos.networks import ResNet18
from ssgan_core.ssgan.recipes import Recipe

BETAS = (0.5, 0.999)  # Adam's, as in DCGAN and the article
WEAK = 0.25  # strength of the weak view's augmentation
TEMPERATURE = 0.2  # of the contrast between images, as in MoCo v3
WHOLE = 64  # side in pixels from which on ImageNet's first layers are used; none shrinks below it


@dataclass
class Learner:
    """The networks of one training, their optimizers and their averaged weights.

    `classify` and `imagine` are classifier and generator for passes whose gradient changes their
    own weights: the networks themselves or, in several processes, wrapped to share gradients.
    Images of side `size` come out smaller by the factor `reduction`, and generated ones are looked
    at where `generates`; `set_schedule` sets both.
    """

    recipe: Recipe
    hardware: Hardware
    classifier: nn.Module
    generator: nn.Module | None
    classify: nn.Module
    imagine: nn.Module | None
    optimizer: torch.optim.Optimizer
    generator_optimizer: torch.optim.Optimizer | None
    ema: AveragedModel | None
    size: int
    reduction: int = 1
    generates: bool = True

    @property
    def rate(self) -> float:
        """The highest learning rate, of classifier and generator."""
        return self.recipe.rate(self.classifier.conv1.out_channels)

    def images(self, batch: Tensor) -> Tensor:
        """uint8 (B, 3, S, S) → float in the recipe's range, channels last, on the device.

        Their side is S, or S / reduction early in a training that begins with smaller images.
        """
        batch = batch.to(self.hardware.device, non_blocking=True)
        images = self.reduced(to_range(batch, self.recipe.pixel_range))
        return images.contiguous(memory_format=torch.channels_last)

    def generated(self, generator: nn.Module, noise: Tensor) -> Tensor:
        """What a generator makes of noise, as real images come: in their range, of their side."""
        half = self.reduction > 1 and self.generator.grows
        images = generator(noise, half=half).float()
        low, high = self.recipe.pixel_range
        images = low + (images + 1) * ((high - low) / 2)
        return images if half else self.reduced(images)

    def reduced(self, images: Tensor) -> Tensor:
        """Images (B, 3, S, S) of the side that this stage of the training has."""
        return images if self.reduction == 1 else avg_pool2d(images, self.reduction)

    def transform(self, images: Tensor) -> Tensor:
        """The recipe's augmentation of labeled images."""
        return images if self.recipe.augment is None else augment(images, self.recipe.augment)

    def view(self, images: Tensor) -> Tensor:
        """What stands for unlabeled and generated images: the same change for both."""
        if self.recipe.two_views:
            return augment_strongly(images, self.recipe.strong)
        return self.transform(images)

    @property
    def teacher(self) -> nn.Module:
        """The averaged weights where there are any: a mean teacher (Tarvainen and Valpola 2017,
        arXiv:1703.01780)."""
        return self.ema.module if self.ema else self.classifier

    @torch.no_grad()
    def weak_view(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the teacher says of images flipped and hardly changed: logits and features."""
        with untracked_statistics(self.teacher):
            return self.teacher(augment(images, WEAK))

    def contrast_loss(self, features: Tensor, weak_features: Tensor) -> Tensor:
        """How badly an image is found again, among those of the batch, in the teacher's view."""
        queries = self.classifier.projection(features)
        with torch.no_grad():
            keys = self.teacher.projection(weak_features)
        return losses.contrast(queries, keys, TEMPERATURE)

    def turn_loss(self, images: Tensor) -> Tensor:
        """How badly the classifier tells by which quarter turn each image was rotated."""
        turned, turns = quarter_turns(self.transform(images))
        _, features = self.classify(turned)
        return losses.labeled_loss(self.classifier.turns(features), turns)

    def real_loss(self, logits: Tensor) -> Tensor:
        """How little these images are taken for real."""
        return (losses.explicit_real_loss if self.recipe.explicit else losses.real_loss)(logits)

    def fake_loss(self, logits: Tensor) -> Tensor:
        """How little these images are taken for generated."""
        return (losses.explicit_fake_loss if self.recipe.explicit else losses.fake_loss)(logits)

    def discriminator(self, logits: Tensor) -> Tensor:
        """D(x), the probability of being real, (B,)."""
        if self.recipe.explicit:
            logits = logits[..., :-1] - logits[..., -1:]
        return torch.sigmoid(losses.log_z(logits))

    def noise(self, count: int) -> Tensor:
        """Noise (count, …) for this process's share of the generated images."""
        everyone = torch.randn(count * world(), self.generator.noise, device=self.hardware.device)
        return share(everyone)


def make_learner(
    recipe: Recipe, size: int, width: int, generator_width: int, classes: int, hardware: Hardware
) -> Learner:
    """Networks and optimizers of a recipe; weights come from PyTorch's global generator."""
    stem = recipe.stem or ("imagenet" if size >= WHOLE else "small")
    extra = {"turns": recipe.rotation > 0, "projection": recipe.contrast > 0}
    network = ResNet18(classes + recipe.explicit, width, stem, **extra)
    classifier = hardware.place(synchronized(network))
    generator = None
    if recipe.gan:
        grows = recipe.grows and size >= 2 * WHOLE
        generator = Generator(size, width=generator_width, grows=grows)
        generator = hardware.place(synchronized(generator))
    rate = recipe.rate(width)
    on_gpu = hardware.device.type == "cuda"
    if on_gpu:  # where a recorded step finds it when it has changed
        rate = torch.tensor(rate, device=hardware.device)

    def adam(network: nn.Module) -> torch.optim.Adam:
        return torch.optim.Adam(network.parameters(), rate, BETAS, fused=True, capturable=on_gpu)

    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            classifier.parameters(), rate, 0.9, weight_decay=recipe.weight_decay, fused=True
        )
    else:
        optimizer = adam(classifier)
    return Learner(
        recipe,
        hardware,
        classifier,
        generator,
        wrap(classifier),
        wrap(generator, partly_idle=generator.grows) if generator else None,
        optimizer,
        adam(generator) if generator else None,
        AveragedModel(classifier) if recipe.ema else None,
        size,
    )


def supervised_step(learner: Learner, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """One step on labeled images alone: images (B, 3, S, S) uint8, labels (B,)."""
    with learner.hardware.autocast():
        logits, _ = learner.classify(learner.transform(learner.images(images)))
    loss = losses.labeled_loss(logits, labels.to(logits.device))
    _descend(learner.optimizer, loss)
    return {"labeled": loss.detach()}


def ssgan_step(
    learner: Learner, images: Tensor, labels: Tensor, unlabeled: Tensor
) -> dict[str, Tensor]:
    """One step on labeled and unlabeled images: first the classifier, then the generator, if any.

    The classifier learns the labels, raises log Z on real images and lowers it on generated
    ones. Where the recipe asks for consistency, it also has to give a strongly changed view of
    an unlabeled image the class that its averaged weights are sure to see in a weakly changed
    one; where it asks for contrast, to find the image again among the weakly changed ones; where
    it asks for rotation, to tell how an unlabeled image was turned. Labeled, unlabeled and
    generated images pass through it separately. In the steps between two looks at generated
    images (`Recipe.gan_every`) all this happens without them.
    """
    recipe = learner.recipe
    gan = recipe.gan and learner.generates
    real = learner.images(unlabeled)
    terms = {}
    with learner.hardware.autocast():
        labeled_logits, _ = learner.classify(learner.transform(learner.images(images)))
        terms["labeled"] = losses.labeled_loss(labeled_logits, labels.to(real.device))
        real_logits, real_features = learner.classify(learner.view(real))
        if recipe.two_views:
            weak_logits, weak_features = learner.weak_view(real)
        if recipe.consistency:
            term = losses.consistency(weak_logits, real_logits, recipe.confidence)
            terms["consistency"] = recipe.consistency * term
        if recipe.contrast:
            term = learner.contrast_loss(real_features, weak_features)
            terms["contrast"] = recipe.contrast * term
        if recipe.rotation:
            terms["rotation"] = recipe.rotation * learner.turn_loss(real)
        if recipe.entropy:
            terms["entropy"] = recipe.entropy * losses.conditional_entropy(real_logits)
        if gan:
            fake = learner.generated(learner.imagine, learner.noise(len(real)))
            with untracked_statistics(learner.classifier, recipe.fresh_statistics):
                fake_logits, _ = learner.classify(learner.view(fake.detach()))
            terms["real"] = recipe.unlabeled_weight * learner.real_loss(real_logits)
            terms["fake"] = recipe.unlabeled_weight * learner.fake_loss(fake_logits)
    _descend(learner.optimizer, sum(terms.values()))
    if gan:
        terms["generator"] = generator_step(learner, fake, real_features.detach())
        terms["D(real)"] = learner.discriminator(real_logits).mean()
        terms["D(fake)"] = learner.discriminator(fake_logits).mean()
    return {name: term.detach() for name, term in terms.items()}


def generator_step(learner: Learner, fake: Tensor, real_features: Tensor) -> Tensor:
    """The generator's half of a step: its images `fake`, the features of unlabeled ones.

    It makes the classifier call its images real or, with feature matching, makes the mean of
    their features that of the unlabeled images; pull-away keeps them from being all alike.
    """
    recipe, classifier = learner.recipe, learner.classifier
    classifier.requires_grad_(False)
    with learner.hardware.autocast(), untracked_statistics(classifier, recipe.fresh_statistics):
        logits, features = classifier(learner.view(fake))
    if recipe.feature_matching:
        loss = losses.feature_matching(real_features, features)
    else:
        loss = learner.real_loss(logits)
    if recipe.pull_away:
        loss = loss + recipe.pull_away * losses.pull_away(features)
    _descend(learner.generator_optimizer, loss)
    classifier.requires_grad_(True)
    return loss


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


@contextlib.contextmanager
def untracked_statistics(network: nn.Module, active: bool = True) -> Iterator[None]:
    """Batch norm normalizes by the batch as ever, but forgets the batch afterwards.

    Otherwise the running statistics used at evaluation would be, in part, those of generated
    images.
    """
    layers = (
        [m for m in network.modules() if isinstance(m, (nn.BatchNorm2d, nn.SyncBatchNorm))]
        if active
        else []
    )
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def set_schedule(learner: Learner, progress: float, step: int) -> None:
    """What changes in the course of a training; `progress` goes from 0 to 1.

    The learning rate is constant, or half a cosine from the learner's rate to 0. Images have half
    their side up to `small_first` (smaller images first; Touvron et al. 2019, arXiv:1906.06423),
    unless that is less than 64 pixels. Generated images are looked at in the first step and in
    every `gan_every`-th after it. The averaged weights span the last tenth of the steps so
    far, and a fixed number of them once their decay has reached the recipe's.
    """
    recipe = learner.recipe
    rate = learner.rate
    if recipe.cosine:
        rate *= 0.5 * (1 + math.cos(math.pi * progress))
    for optimizer in (learner.optimizer, learner.generator_optimizer):
        for group in optimizer.param_groups if optimizer else ():
            if isinstance(group["lr"], Tensor):  # on a GPU
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate
    early = progress <= recipe.small_first and recipe.small_first > 0
    learner.reduction = 2 if early and learner.size >= 2 * WHOLE else 1
    learner.generates = step % recipe.gan_every == 0
    if learner.ema:
        decay = min(recipe.ema, (1 + step) / (10 + step))
        learner.ema.multi_avg_fn = get_ema_multi_avg_fn(decay)
