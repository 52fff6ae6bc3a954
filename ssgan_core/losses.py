"""Loss terms of a semi-supervised GAN: pure functions of logits, features or points.

The classifier gives K logits. With Z = sum_k exp(logit_k) the discriminator is
D(x) = Z / (Z + 1) = sigmoid(log Z): the (K+1)-class softmax whose "generated" logit is fixed at 0
(Salimans et al. 2016, arXiv:1606.03498, section 5).

Shapes: logits (..., B, K), features (..., B, F), points (..., B, d). Every term is reduced over its
batch and keeps the leading dimensions, so the same function serves one network and a stack of runs.
Everything is computed in float32, whatever comes in.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ssgan_core.errors import InputError

PROBE = 1e-2  # length of the finite difference along which VAT looks: fp32 still resolves it


def log_z(logits: Tensor) -> Tensor:
    """log Z = logsumexp of the K logits, (..., B); D(x) = sigmoid(log Z)."""
    return logits.float().logsumexp(-1)


def real_loss(logits: Tensor) -> Tensor:
    """-E log D(x) on real data: its gradient raises log Z."""
    return softplus(-log_z(logits)).mean(-1)


def fake_loss(logits: Tensor) -> Tensor:
    """-E log(1 - D(G(z))) on generated data, for the discriminator: lowers log Z."""
    return softplus(log_z(logits)).mean(-1)


def generator_loss(logits: Tensor) -> Tensor:
    """-E log D(G(z)), the non-saturating loss of the generator (Goodfellow 2014, section 3)."""
    return real_loss(logits)


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Mean squared norm of log Z's gradient at each image (B, …): R1 where the images are real.

    `images` must require a gradient. The norm sums over the pixels, as in Mescheder et al. 2018,
    arXiv:1801.04406, section 4.1, whose penalty is γ/2 times this.
    """
    (slope,) = torch.autograd.grad(log_z(logits).sum(), images, create_graph=True)
    return slope.float().square().flatten(1).sum(1).mean()


def labeled_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the K logits; labels (..., B), integers in 0..K-1."""
    log_p = logits.float().log_softmax(-1)
    return -log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1).mean(-1)


def rotation_prediction(logits: Tensor, turns: Tensor) -> Tensor:
    """Cross-entropy of predicting by how many quarter turns (..., B) each image was rotated.

    Gidaris et al. 2018, arXiv:1803.07728, equation 2; logits (..., B, 4).
    """
    return labeled_loss(logits, turns)


def conditional_entropy(logits: Tensor) -> Tensor:
    """Mean entropy of p(class | x) in nats, 0..log K: its descent makes each prediction firm."""
    log_p = logits.float().log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1).mean(-1)


def pseudo_labels(logits: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
    """The most probable class (..., B) of each row, and 1 where its probability reaches
    `confidence`, 0 elsewhere; without gradient."""
    probability, classes = logits.detach().float().softmax(-1).max(-1)
    return classes, (probability >= confidence).float()


def consistency(weak_logits: Tensor, strong_logits: Tensor, confidence: float) -> Tensor:
    """Cross-entropy of a strong view against the class that a weak view of the same image shows.

    Images whose weak view is less sure than `confidence` count 0 in the mean
    (FixMatch, Sohn et al. 2020, arXiv:2001.07685, equation 4). No gradient reaches the weak view.
    """
    classes, sure = pseudo_labels(weak_logits, confidence)
    log_p = strong_logits.float().log_softmax(-1)
    return -(log_p.gather(-1, classes.unsqueeze(-1)).squeeze(-1) * sure).mean(-1)


def divergence(target_logits: Tensor, logits: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence KL(p ‖ q) in nats, p and q the classes' probabilities by
    `target_logits` and `logits`; no gradient reaches the target."""
    log_p, log_q = target_logits.detach().float().log_softmax(-1), logits.float().log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean(-1)


def mean_teacher(teacher_logits: Tensor, logits: Tensor) -> Tensor:
    """Mean squared distance, 0..2, of the student's class probabilities from the teacher's.

    Both see the same images, under noise of their own; no gradient reaches the teacher (Tarvainen
    and Valpola 2017, arXiv:1703.01780, section 2; summed over the classes).
    """
    distance = logits.float().softmax(-1) - teacher_logits.detach().float().softmax(-1)
    return distance.square().sum(-1).mean(-1)


def adversarial_perturbation(
    predict: Callable[[Tensor], Tensor], images: Tensor, target_logits: Tensor, epsilon: float
) -> Tensor:
    """For each image (..., B, P) a change of norm `epsilon` that moves its prediction far from the
    target, the prediction as it is.

    One step of power iteration, from a random direction and with a gradient at a distance of
    `PROBE`, toward the direction in which the divergence is most curved (Miyato et al. 2018,
    arXiv:1704.03976, section 3.3). `predict`, from images to logits, must be without chance.
    """
    unit = torch.nn.functional.normalize
    direction = unit(torch.randn_like(images), dim=-1).requires_grad_()
    change = divergence(target_logits, predict(images + PROBE * direction))
    (gradient,) = torch.autograd.grad(change.sum(), direction)
    largest = gradient.abs().amax(-1, keepdim=True)  # `unit` takes what is below 1e-12 for 0
    return epsilon * unit(gradient / largest.clamp(min=1e-30), dim=-1)


def vat(predict: Callable[[Tensor], Tensor], images: Tensor, epsilon: float) -> Tensor:
    """Virtual adversarial loss: the divergence of the prediction for images (..., B, P) from that
    for the same images under an `adversarial_perturbation` of norm `epsilon`.

    Gradient reaches the network through the changed images alone (Miyato et al. 2018,
    arXiv:1704.03976, section 3.2).
    """
    target = predict(images).detach()  # with gradients on: weights that are cached keep theirs
    change = adversarial_perturbation(predict, images, target, epsilon)
    return divergence(target, predict(images + change))


def contrast(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding, among all keys of the batch, the one of the same image.

    Each query (..., B, F) is held against every key (..., B, F) by cosine over `temperature`
    (InfoNCE, van den Oord et al. 2018, arXiv:1807.03748, equation 4; Chen et al. 2021,
    arXiv:2104.02057, algorithm 1, without its factor). The keys get no gradient.
    """
    unit = torch.nn.functional.normalize
    queries, keys = unit(queries.float(), dim=-1), unit(keys.detach().float(), dim=-1)
    log_p = (queries @ keys.transpose(-1, -2) / temperature).log_softmax(-1)
    return -log_p.diagonal(dim1=-2, dim2=-1).mean(-1)


def feature_matching(real_features: Tensor, fake_features: Tensor) -> Tensor:
    """Squared distance of the two batch *means*, averaged over the F features.

    The batches need not be of one size, for no sample is paired with another
    (arXiv:1606.03498, section 3.1; the mean over F keeps the width from setting the scale).
    """
    return (real_features.float().mean(-2) - fake_features.float().mean(-2)).square().mean(-1)


def pull_away(features: Tensor) -> Tensor:
    """Mean squared cosine between different samples' features, 0 (orthogonal) to 1 (collapsed).

    A stand-in for minus the entropy of the generator (Zhao et al. 2016, arXiv:1609.03126).
    Raises InputError when the batch has fewer than 2 rows.
    """
    batch = features.shape[-2]
    if batch < 2:
        raise InputError(f"pull_away needs a batch of at least 2 feature rows, found {batch}")
    unit = torch.nn.functional.normalize(features.float(), dim=-1)
    squared = (unit @ unit.transpose(-1, -2)).square()
    diagonal = squared.diagonal(dim1=-2, dim2=-1).sum(-1)
    return (squared.sum((-2, -1)) - diagonal) / (batch * (batch - 1))


def kde_log_density(points: Tensor, data: Tensor, bandwidth: float) -> Tensor:
    """Log density (..., B) of `points` under a Gaussian kernel estimate from `data` (..., N, d).

    `bandwidth` is the kernel's standard deviation, in the units of the points. Differentiable in
    `points`. Raises InputError when the bandwidth is not positive.
    """
    if not bandwidth > 0:
        raise InputError(f"bandwidth must be above 0, found {bandwidth}")
    center = data.float().mean(-2, keepdim=True)  # so that no large squares cancel
    points, data = (points.float() - center) / bandwidth, (data.float() - center) / bandwidth
    exponent = points @ data.transpose(-1, -2) - data.square().sum(-1).unsqueeze(-2) / 2
    # What is e^-60 of the nearest kernel is lost in the sum, and numbers that underflow are slow.
    exponent = exponent.clamp_min(exponent.detach().amax(-1, keepdim=True) - 60)
    count, dimension = data.shape[-2:]
    constant = math.log(count) + dimension / 2 * math.log(2 * math.pi * bandwidth**2)
    return exponent.logsumexp(-1) - points.square().sum(-1) / 2 - constant


def low_density(points: Tensor, data: Tensor, bandwidth: float, log_threshold: float) -> Tensor:
    """How far log p of `points` exceeds the threshold, on average; 0 where it does not.

    The complement generator's E[log p(x) 1(p(x) > eps)] less the constant log eps under the
    indicator: same gradient, and continuous (Dai et al. 2017, arXiv:1705.09783, section 5).
    """
    return (kde_log_density(points, data, bandwidth) - log_threshold).relu().mean(-1)


def explicit_real_loss(logits: Tensor) -> Tensor:
    """-E log(1 - p_generated) on real data with K+1 logits, of which the last is "generated"."""
    logits = logits.float()
    return softplus(logits[..., -1] - log_z(logits[..., :-1])).mean(-1)


def explicit_fake_loss(logits: Tensor) -> Tensor:
    """-E log p_generated on generated data with K+1 logits, of which the last is "generated"."""
    logits = logits.float()
    return softplus(log_z(logits[..., :-1]) - logits[..., -1]).mean(-1)


class Form(NamedTuple):
    """How "generated" is written into logits: outputs beside the K, and the two losses."""

    extra: int
    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]


IMPLICIT = Form(0, real_loss, fake_loss)
EXPLICIT = Form(1, explicit_real_loss, explicit_fake_loss)
