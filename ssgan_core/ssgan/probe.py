"""How much of the classes a network's features know: linear probes."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from ssgan_core.ssgan.evaluate import PhotoData, all_outputs
from ssgan_core.ssgan.step import Learner

PROBED = 1000  # photos whose classes a probe may see, of those that training saw unlabeled


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
    test = data.photos.rows("test")
    classes = data.photos.table["label"].to_numpy()
    seen, unseen = (all_outputs(learner, model, data, part)[1].numpy() for part in (rows, test))
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    return float(probe.fit(seen, classes[rows]).score(unseen, classes[test]))
