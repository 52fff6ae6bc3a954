"""Judging a network: which weights, which batch-norm statistics, which images."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from ssgan_core.photos.files import PhotoCollection
from ssgan_core.photos.loader import Cached, Loader
from ssgan_core.ssgan.recipes import Recipe
from ssgan_core.ssgan.step import Learner

EVALUATION_BATCH = 250
STATISTICS_BATCHES = 4  # of real unlabeled images, to re-estimate batch-norm statistics on


@dataclass(frozen=True)
class PhotoData:
    """Decoded photos and their splits: images (N, 3, S, S) uint8, row for row with `photos`."""

    images: Tensor
    photos: PhotoCollection

    def on(self, device: torch.device) -> Self:
        """The same with the images in this device's memory: no step waits for a copy of its own."""
        return replace(self, images=self.images.to(device))

    def loader(self, split: str, batch_size: int, shuffle: bool = False, seed: int = 0) -> Loader:
        """Batches of one split."""
        source = Cached(self.images, torch.tensor(self.photos.table["label"].to_numpy()))
        return Loader(source, self.photos.rows(split), batch_size, shuffle=shuffle, seed=seed)

    def labels(self, split: str) -> np.ndarray:
        """True classes of a split, in the order of its rows."""
        return self.photos.table["label"].to_numpy()[self.photos.rows(split)]

    def batch_sizes(self, recipe: Recipe) -> dict[str, int]:
        """Photos of each split in a step, all processes together."""
        count = len(self.photos.rows("labeled"))
        sizes = {"labeled": min(recipe.labeled_batch or count, count)}
        if recipe.unlabeled:
            sizes["unlabeled"] = min(recipe.unlabeled_batch, len(self.photos.rows("unlabeled")))
        return sizes


def evaluation_model(learner: Learner, data: PhotoData) -> nn.Module:
    """The network to judge: averaged weights and fresh statistics where the recipe has them.

    Averaged weights never saw a batch, so their batch-norm statistics have to be measured: on
    real unlabeled images, the kind that the test images are, in fp32 as in `all_logits`.
    """
    model = learner.ema.module if learner.ema else learner.classifier
    if learner.recipe.fresh_statistics:
        update_bn(real_batches(learner, data), model)
    return model


def real_batches(learner: Learner, data: PhotoData) -> Iterator[Tensor]:
    """A few large batches (B, 3, S, S) of unlabeled images, as the network takes them."""
    split = "unlabeled" if len(data.photos.rows("unlabeled")) else "labeled"
    batches = iter(data.loader(split, EVALUATION_BATCH, shuffle=True))
    for batch, _ in zip(batches, range(STATISTICS_BATCHES), strict=False):
        yield learner.images(batch.images)


@contextlib.contextmanager
def statistics_of(model: nn.Module, batches: Iterable[Tensor]) -> Iterator[None]:
    """Inside, batch norm evaluates by the statistics of these images alone; then as before."""
    with buffers_kept(model):
        update_bn(batches, model)
        yield


@contextlib.contextmanager
def buffers_kept(network: nn.Module) -> Iterator[None]:
    """Puts batch norm's running statistics back, whatever was done with them inside."""
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    finally:
        for buffer, old in zip(network.buffers(), before, strict=True):
            buffer.copy_(old)


@torch.no_grad()
def all_outputs(
    learner: Learner, model: nn.Module, data: PhotoData, rows: np.ndarray
) -> tuple[Tensor, Tensor]:
    """Logits (rows, K or K+1) and features (rows, F) of the images in these rows, on the CPU.

    In fp32, as `ssgan_core.predict` computes on any machine.
    """
    model.eval()
    batches = torch.as_tensor(rows).split(EVALUATION_BATCH)
    logits, features = zip(
        *(model(learner.images(data.images[batch])) for batch in batches), strict=True
    )
    model.train()
    return torch.cat(logits).cpu(), torch.cat(features).cpu()


def all_logits(learner: Learner, model: nn.Module, data: PhotoData, split: str) -> Tensor:
    """The logits of `all_outputs`, each image of the split counted once."""
    return all_outputs(learner, model, data, data.photos.rows(split))[0]


def probabilities(learner: Learner, model: nn.Module, data: PhotoData, split: str) -> np.ndarray:
    """Softmax of the K logits, (images, K), each image of the split counted once."""
    logits = all_logits(learner, model, data, split)
    return logits[:, : len(data.photos.classes)].softmax(1).numpy()


def accuracy(learner: Learner, model: nn.Module, data: PhotoData, split: str) -> float:
    """Share of a split's images whose most probable class is the true one."""
    predicted = probabilities(learner, model, data, split).argmax(1)
    return float((predicted == data.labels(split)).mean())


@torch.no_grad()
def generate(learner: Learner, noise: Tensor) -> Tensor:
    """Images (B, 3, S, S), uint8, that the generator makes of this noise (B, noise).

    tanh's range [−1, 1] is shown as [0, 255].
    """
    learner.generator.eval()
    with learner.hardware.autocast():
        images = learner.generator(noise).float()
    learner.generator.train()
    images = (images + 1) / 2
    return images.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().contiguous()
