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
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ssgan_core import losses
from ssgan_core.data.augment import augment
from ssgan_core.models.generator import Generator
from ssgan_core.models.resnet import ResNet18
from ssgan_core.training.hardware import Hardware
from ssgan_core.training.recipes import Recipe

BETAS = (0.5, 0.999)  # Adam's, as in DCGAN and the article


@dataclass
class Learner:
    """The networks of one training, their optimizers and their averaged weights."""

    recipe: Recipe
    hardware: Hardware
    classifier: nn.Module
    generator: nn.Module | None
    optimizer: torch.optim.Optimizer
    generator_optimizer: torch.optim.Optimizer | None
    ema: AveragedModel | None

    def images(self, batch: Tensor) -> Tensor:
        """uint8 (B, 3, S, S) → float in the recipe's range, channels last, on the device."""
        low, high = self.recipe.pixel_range
        images = batch.to(self.hardware.device, non_blocking=True).float()
        images = images.mul_((high - low) / 255).add_(low)
        return images.contiguous(memory_format=torch.channels_last)

    def transform(self, images: Tensor) -> Tensor:
        """The recipe's augmentation, the same for real and generated images."""
        return images if self.recipe.augment is None else augment(images, self.recipe.augment)

    def noise(self, count: int) -> Tensor:
        return torch.randn(count, self.generator.noise, device=self.hardware.device)


def make_learner(
    recipe: Recipe, size: int, width: int, generator_width: int, classes: int, hardware: Hardware
) -> Learner:
    """Networks and optimizers of a recipe; weights come from PyTorch's global generator."""
    stem = recipe.stem or ("imagenet" if size > 64 else "small")
    classifier = hardware.place(ResNet18(classes, width, stem))
    generator = hardware.place(Generator(size, width=generator_width)) if recipe.gan else None
    fused = hardware.device.type in ("cpu", "cuda")
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            classifier.parameters(),
            recipe.learning_rate,
            momentum=0.9,
            weight_decay=recipe.weight_decay,
            fused=fused,
        )
    else:
        optimizer = torch.optim.Adam(
            classifier.parameters(), recipe.learning_rate, BETAS, fused=fused
        )
    return Learner(
        recipe,
        hardware,
        classifier,
        generator,
        optimizer,
        torch.optim.Adam(generator.parameters(), recipe.learning_rate, BETAS, fused=fused)
        if generator
        else None,
        AveragedModel(classifier, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        if recipe.ema
        else None,
    )


def supervised_step(learner: Learner, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """One step on labeled images alone: images (B, 3, S, S) uint8, labels (B,)."""
    with learner.hardware.autocast():
        logits, _ = learner.classifier(learner.transform(learner.images(images)))
    loss = losses.labeled_loss(logits, labels.to(logits.device))
    _descend(learner.optimizer, loss)
    return {"labeled": loss.detach()}


def ssgan_step(
    learner: Learner, images: Tensor, labels: Tensor, unlabeled: Tensor
) -> dict[str, Tensor]:
    """One step of the semi-supervised GAN: first the classifier, then the generator.

    The classifier learns the labels, raises log Z on real images and lowers it on generated
    ones; labeled, unlabeled and generated images pass through it separately. The generator then
    makes the classifier call its images real, or, with feature matching, makes the mean of
    their features that of the unlabeled images.
    """
    recipe, classifier, transform = learner.recipe, learner.classifier, learner.transform
    real = learner.images(unlabeled)
    with learner.hardware.autocast():
        fake = learner.generator(learner.noise(len(real))).float()
        labeled_logits, _ = classifier(transform(learner.images(images)))
        real_logits, real_features = classifier(transform(real))
        with untracked_statistics(classifier, recipe.fresh_statistics):
            fake_logits, _ = classifier(transform(fake.detach()))
    labeled = losses.labeled_loss(labeled_logits, labels.to(real.device))
    on_real, on_fake = losses.real_loss(real_logits), losses.fake_loss(fake_logits)
    _descend(learner.optimizer, labeled + recipe.unlabeled_weight * (on_real + on_fake))

    classifier.requires_grad_(False)
    with learner.hardware.autocast(), untracked_statistics(classifier, recipe.fresh_statistics):
        fake_logits, fake_features = classifier(transform(fake))
    if recipe.feature_matching:
        generator_loss = losses.feature_matching(real_features.detach(), fake_features)
    else:
        generator_loss = losses.generator_loss(fake_logits)
    _descend(learner.generator_optimizer, generator_loss)
    classifier.requires_grad_(True)
    return {
        "labeled": labeled.detach(),
        "real": on_real.detach(),
        "fake": on_fake.detach(),
        "generator": generator_loss.detach(),
        "D(real)": torch.sigmoid(losses.log_z(real_logits)).mean().detach(),
        "D(fake)": torch.sigmoid(losses.log_z(fake_logits)).mean().detach(),
    }


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
    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)] if active else []
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


def set_learning_rate(learner: Learner, progress: float) -> None:
    """Constant, or half a cosine from the recipe's rate to 0; `progress` from 0 to 1."""
    rate = learner.recipe.learning_rate
    if learner.recipe.cosine:
        rate *= 0.5 * (1 + math.cos(math.pi * progress))
    for optimizer in (learner.optimizer, learner.generator_optimizer):
        for group in optimizer.param_groups if optimizer else ():
            group["lr"] = rate
