"""How good are generated images, and are all kinds there? Two answers in numbers.

Both compare features of images, not pixels. The features are those of a classifier trained on the
very images in question, so that nothing has to be downloaded; its scale is therefore its own, and
scores of two different judges cannot be compared.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ssgan_core.dcgan.training import PIXELS
from ssgan_core.device import Hardware
from ssgan_core.errors import InputError
from ssgan_core.photos.decode import to_range
from ssgan_core.photos.files import UNKNOWN
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.photos.splits import HELD
from ssgan_core.ssgan.fit import Fit, fit
from ssgan_core.ssgan.recipes import find_recipe

NEIGHBORS = 3  # the k of precision and recall, as their authors have it
MOST = 2000  # images compared at most


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Squared Fréchet distance of two Gaussians fitted to features (N, F) and (M, F).

    |μ − ν|² + tr(A + B − 2 (A B)^½), the formula of the FID (Heusel et al. 2017,
    arXiv:1706.08500, section 4); in units of squared features, 0 for equal moments.
    """
    first, second = first.double(), second.double()
    shift = (first.mean(0) - second.mean(0)).square().sum()
    a, b = first.T.cov(), second.T.cov()
    values, vectors = torch.linalg.eigh(a)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ b @ root).clamp_min(0).sqrt().sum()
    return float((shift + a.trace() + b.trace() - 2 * overlap).clamp_min(0))


def precision_recall(real: Tensor, fake: Tensor) -> tuple[float, float]:
    """Share of the fake features inside the real ones' manifold, and the reverse.

    The manifold of a set is a union of balls, one around each member, reaching to its third
    nearest neighbor (Kynkäänniemi et al. 2019, arXiv:1904.06991, section 2).
    """

    def inside(points: Tensor, members: Tensor) -> float:
        among = torch.cdist(members, members)
        radius = among.kthvalue(min(NEIGHBORS + 1, len(members)), dim=1).values
        return float((torch.cdist(points, members) <= radius).any(1).float().mean())

    real, fake = real.double(), fake.double()
    return inside(fake, real), inside(real, fake)


@dataclass(frozen=True)
class Judge:
    """Scores of images against held-out real ones, in the features of a classifier.

    `reference` (N, F) are the features of real images that neither the classifier nor the
    generator was trained on; images judged should be as many, for fewer score worse.
    """

    classifier: nn.Module
    hardware: Hardware
    reference: Tensor

    def __call__(self, images: Tensor) -> dict[str, float]:
        """Scores of images (M, 3, S, S), uint8: the Fréchet distance, precision and recall."""
        features = self.read(images)[1]
        precision, recall = precision_recall(self.reference, features)
        distance = frechet_distance(self.reference, features)
        return {"distance": distance, "precision": precision, "recall": recall}

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class probabilities (M, K) and features (M, F) of images (M, 3, S, S), uint8."""
        return _read(self.classifier, self.hardware, images)


def train_judge(
    data: PhotoSet,
    steps: int,
    *,
    width: int,
    seed: int = 0,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[Judge, Fit]:
    """Train a small ResNet on all labels outside `val` and `test`, and judge by its features.

    The held-out images of both splits are the reference, at most `MOST` of them. Raises InputError
    where no class is known.
    """
    if not data.classes:
        raise InputError(f"No class is known of the photos in {data.root}; the judge learns from "
                         f"classes, as folders or names of photos tell them.")  # fmt: skip
    table = data.table
    held_out = table["split"].isin(HELD)
    split = table["split"].where(held_out | (table["label"] == UNKNOWN), "labeled")
    everything = replace(data, table=table.assign(split=split))
    chosen = {"labeled_batch": 64, "learning_rate": 1e-3, "rate_by_width": False}
    recipe = replace(find_recipe("supervised-augmented"), **chosen)
    trained = fit(
        recipe, everything, steps, width=width, evaluations=4, seed=seed,
        checkpoint=checkpoint, report=report,
    )  # fmt: skip
    classifier, hardware = trained.model.eval(), trained.learner.hardware
    rows = np.random.default_rng(0).permutation(np.flatnonzero(held_out))[:MOST]
    reference = data.images[rows]
    return Judge(classifier, hardware, _read(classifier, hardware, reference)[1]), trained


@torch.no_grad()
def _read(classifier: nn.Module, hardware: Hardware, images: Tensor) -> tuple[Tensor, Tensor]:
    probabilities, features = [], []
    for part in images.split(250):
        part = to_range(part.to(hardware.device), PIXELS)
        with hardware.autocast():
            logits, found = classifier(part.contiguous(memory_format=torch.channels_last))
        probabilities.append(logits.float().softmax(1).cpu())
        features.append(found.float().cpu())
    return torch.cat(probabilities), torch.cat(features)
