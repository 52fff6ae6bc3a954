"""How much of the classes a network's features know: linear probes."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from ssgan_core.training.evaluate import EVALUATION_BATCH, PhotoData
from ssgan_core.training.photos import Learner

PROBED = 1000  # photos whose classes a probe may see, of those that training saw unlabeled


@torch.no_grad()
def features_of(
    learner: Learner, model: nn.Module, data: PhotoData, rows: np.ndarray
) -> np.ndarray:
    """The features (rows, F) on which the network's last layer decides, in fp32."""
    model.eval()
    parts = [
        model(learner.images(data.images[some]))[1].cpu()
        for some in np.split(rows, range(EVALUATION_BATCH, len(rows), EVALUATION_BATCH))
    ]
    model.train()
    return torch.cat(parts).numpy()


def linear_probe(
    learner: Learner, model: nn.Module, data: PhotoData, count: int = PROBED, seed: int = 0
) -> float:
    """Test accuracy of a logistic regression on the network's features, the network left alone.

    It learns from `count` random unlabeled photos whose true class is known, or all of those, and
    from the labeled ones (Alain and Bengio 2017, arXiv:1610.01644).
    """
    unlabeled = data.photos.rows("unlabeled")
    known = unlabeled[data.labels("unlabeled") >= 0]
    chosen = np.random.default_rng(seed).permutation(known)[:count]
    rows = np.concatenate([data.photos.rows("labeled"), chosen])
    classes = data.photos.table["label"].to_numpy()
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    probe.fit(features_of(learner, model, data, rows), classes[rows])
    test = data.photos.rows("test")
    return float(probe.score(features_of(learner, model, data, test), classes[test]))
