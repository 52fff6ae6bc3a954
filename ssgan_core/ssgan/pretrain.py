"""Features learned without any label: the same step given no labeled image; their worth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from ssgan_core import loop
from ssgan_core.checkpoint import load_checkpoint, save_checkpoint
from ssgan_core.device import Hardware, captured, share
from ssgan_core.errors import InputError
from ssgan_core.photos.features import probe, write_features
from ssgan_core.photos.files import UNKNOWN
from ssgan_core.photos.labels import draw_labeled
from ssgan_core.photos.loader import Schedule
from ssgan_core.photos.photoset import PhotoSet
from ssgan_core.photos.splits import HELD
from ssgan_core.ssgan.evaluate import all_outputs, evaluation_model
from ssgan_core.ssgan.recipes import Recipe
from ssgan_core.ssgan.step import make_learner, schedule, ssgan_step

KIND = "ssgan_core features, version 1"
WEIGHTS = "model.pt"


@dataclass
class Pretrained:
    """What a training without labels returns: its losses at each evaluation, the network that is
    judged (EMA, fresh statistics), and the features (N, F) that it gives of all photos."""

    recipe: Recipe
    history: pd.DataFrame
    model: nn.Module
    features: np.ndarray


def pretrain(
    recipe: Recipe,
    photos: PhotoSet,
    steps: int | None = None,
    *,
    max_minutes: float | None = None,
    width: int = 64,
    generator_width: int = 512,
    evaluations: int = 10,
    seed: int = 0,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Pretrained:
    """Train a recipe on the photos of the training split as `loop.run` does, knowing no class.

    Raises InputError for a checkpoint of another training, or fewer than two photos to learn from.
    """
    split = photos.table["split"].where(photos.table["split"].isin(HELD), "unlabeled")
    data = replace(photos, table=photos.table.assign(split=split))
    count = min(recipe.unlabeled_batch, len(data.rows("unlabeled")))
    if count < 2:
        raise InputError(f"{photos.root} has {count} photos to learn from; accepted: 2 and more")
    loop.seed_step(seed, -1)
    size, classes = data.images.shape[-1], max(2, len(data.classes))
    learner = make_learner(recipe, size, width, generator_width, classes, Hardware.detect())
    data = data.on(learner.hardware.device)
    batches = Schedule(data.rows("unlabeled"), count, shuffle=True, seed=seed)
    take = captured(partial(ssgan_step, learner), learner.hardware.device)
    none = data.images[:0], data.targets[:0]

    def step(number: int, progress: float) -> dict[str, Tensor]:
        rows = share(torch.from_numpy(batches.batch(number)).to(data.images.device))
        terms = take(schedule(learner, progress, number), *none, data.images[rows])
        learner.ema.update_parameters(learner.classifier)
        return terms

    def evaluate(number: int, progress: float) -> dict[str, float]:
        return {"epoch": number * count / len(batches.rows)}

    identity = recipe.settings | {"name": recipe.name, "photos": data.split_checksum}
    identity |= {"size": size, "width": width, "generator_width": generator_width, "labels": 0}
    history = loop.run(
        loop.parts_of(learner), step, evaluate, identity, steps=steps, max_minutes=max_minutes,
        evaluations=evaluations, seed=seed, checkpoint=checkpoint, report=report,
    )  # fmt: skip
    model = evaluation_model(learner, data)
    _, features = all_outputs(learner, model, data, np.arange(len(data)))
    return Pretrained(recipe, history, model, features.numpy())


def save_features(folder: Path, done: Pretrained, photos: PhotoSet) -> None:
    """Write what labeled sets are chosen by, features.npz, and begin at, model.pt."""
    write_features(folder, photos, done.features)
    weights = {name: value.cpu() for name, value in done.model.state_dict().items()}
    save_checkpoint(folder / WEIGHTS, {"kind": KIND, "weights": weights})


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The network of a folder that `save_features` wrote; InputError for any other, or none."""
    saved = load_checkpoint(folder / WEIGHTS)
    if saved is None or saved.get("kind") != KIND:
        found = "nothing" if saved is None else "another model"
        raise InputError(
            f"{folder / WEIGHTS} is {found}; accepted: what ssgan_core.pretrain writes"
        )
    return saved["weights"]


def few_label_probes(
    features: np.ndarray, photos: PhotoSet, labels: int, seeds: range
) -> list[float]:
    """Test accuracies of a logistic regression on frozen features (N, F), one a label draw.

    The draws are those of trainings with the same seeds, so that both can be compared in pairs.
    """
    classes, test = photos.table["label"].to_numpy(), photos.rows("test")
    drawn = [draw_labeled(photos, labels, seed).rows for seed in seeds]
    answers = [probe((features[rows], classes[rows]), features[test]) for rows in drawn]
    return [float((answer == classes[test]).mean()) for answer in answers]


def clustered(features: np.ndarray, photos: PhotoSet, seed: int = 0) -> float:
    """Normalized mutual information, 0 to 1, of k-means' clusters with the classes.

    As many clusters as classes, on the features (N, F) of all photos whose class is known: 0 where
    clusters say nothing of the classes, 1 where they are them. Features are standardized.
    """
    classes = photos.table["label"].to_numpy()
    known = classes != UNKNOWN
    points = StandardScaler().fit_transform(features[known])
    clusters = KMeans(len(photos.classes), n_init=10, random_state=seed).fit_predict(points)
    return float(normalized_mutual_info_score(classes[known], clusters))
