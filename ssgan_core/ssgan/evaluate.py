"""Judging a network: which weights, which batch-norm statistics, which images."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from ssgan_core.photos.loader import Schedule
from ssgan_core.photos.networks import draw
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.ssgan.step import Learner

EVALUATION_BATCH = 250
STATISTICS_BATCHES = 4  # of real unlabeled images, to re-estimate batch-norm statistics on


def evaluation_model(learner: Learner, data: PhotoSet, reduction: int = 1) -> nn.Module:
    """The network to judge: EMA weights and fresh statistics where the recipe has them.

    EMA weights never saw a batch, so their batch-norm statistics have to be measured: on
    real unlabeled images, the kind that the test images are, in fp32 as in `all_outputs`.
    """
    model = learner.teacher
    if learner.recipe.fresh_statistics:
        update_bn(real_batches(learner, data, reduction), model)
    return model


def real_batches(learner: Learner, data: PhotoSet, reduction: int = 1) -> Iterator[Tensor]:
    """A few large batches (B, 3, S, S) of unlabeled images, as the network takes them."""
    split = "unlabeled" if len(data.rows("unlabeled")) else "labeled"
    batches = Schedule(data.rows(split), EVALUATION_BATCH, shuffle=True, seed=0).epoch(0)
    for rows in islice(batches, STATISTICS_BATCHES):
        yield learner.images(data.images[torch.from_numpy(rows)], reduction)


@torch.no_grad()
def all_outputs(
    learner: Learner, model: nn.Module, data: PhotoSet, rows: np.ndarray, reduction: int = 1
) -> tuple[Tensor, Tensor]:
    """Logits (rows, K or K+1) and features (rows, F) of the images in these rows, on the CPU.

    In fp32, as `ssgan_core.predict` computes on any machine.
    """
    model.eval()
    batches = torch.as_tensor(rows).split(EVALUATION_BATCH)
    logits, features = zip(
        *(model(learner.images(data.images[batch], reduction)) for batch in batches), strict=True
    )
    model.train()
    return torch.cat(logits).cpu(), torch.cat(features).cpu()


def probabilities(
    learner: Learner, model: nn.Module, data: PhotoSet, split: str, reduction: int = 1
) -> np.ndarray:
    """Softmax of the K logits, (images, K), each image of the split counted once."""
    logits, _ = all_outputs(learner, model, data, data.rows(split), reduction)
    return logits[:, : len(data.classes)].softmax(1).numpy()


def accuracy(
    learner: Learner, model: nn.Module, data: PhotoSet, split: str, reduction: int = 1
) -> float:
    """Share of a split's images whose most probable class is the true one, where that is known.

    NaN where it is known of none.
    """
    truth = data.labels(split)
    if not (truth >= 0).any():
        return float("nan")
    predicted = probabilities(learner, model, data, split, reduction).argmax(1)
    return float((predicted == truth)[truth >= 0].mean())


def generate(learner: Learner, noise: Tensor) -> Tensor:
    """Images (B, 3, S, S), uint8, on the CPU, that the generator makes of noise (B, z)."""
    with learner.hardware.autocast():
        return draw(learner.generator, noise.to(learner.hardware.device)).contiguous()


def variety(generated: Tensor, real: Tensor) -> float:
    """How much generated images differ from each other, against how much real ones do.

    The standard deviation of a pixel over the images, averaged over the pixels: 1 where they
    vary alike, near 0 where the generator has collapsed to one image. Shapes: (N, 3, S, S).
    """
    spread, usual = (images.float().std(0).mean().item() for images in (generated, real))
    return spread / max(usual, 1e-6)
