"""Classifiers that need no generator, on a handful of labels in the plane."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors, radius_neighbors_graph
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC
from torch import Tensor

from ssgan_core.errors import InputError
from ssgan_core.graphs import label_spreading
from ssgan_core.plane.points import PlaneData, draw_labeled


def spacing(points: Tensor, neighbors: int = 10) -> float:
    """Median distance from a point to its `neighbors`-th neighbor: the grain of the cloud."""
    if len(points) <= neighbors:
        raise InputError(f"points has {len(points)} rows; accepted: more than {neighbors}")
    found = NearestNeighbors(n_neighbors=neighbors).fit(points.numpy())
    return float(np.median(found.kneighbors()[0][:, -1]))


def gaussian_graph(width: float) -> Callable:
    """A Gaussian kernel of standard deviation `width` for scikit-learn's graph methods.

    Between the training points it is cut off at three widths and sparse, so that the thousands
    of small steps that a label takes around a ring stay cheap; to new points it is dense.
    """
    if not width > 0:
        raise InputError(f"parameter 'width' is {width}; accepted: above 0")

    def kernel(x: np.ndarray, y: np.ndarray):
        if x is not y:
            squared = euclidean_distances(x, y, squared=True)
            squared -= squared.min(axis=0)  # only ratios count for a new point; none underflows
            return np.exp(-squared / (2 * width**2))
        graph = radius_neighbors_graph(x, 3 * width, mode="distance", include_self=True)
        graph.data = np.exp(-(graph.data**2) / (2 * width**2))
        return graph

    return kernel


def spreading(width: float) -> LabelSpreading:
    """Label spreading over a Gaussian graph of `width`."""
    return label_spreading(gaussian_graph(width))


def supervised_methods(seed: int = 0) -> dict[str, ClassifierMixin]:
    """Classifiers that see the labeled points only."""
    return {
        "MLP": MLPClassifier((64, 64), solver="lbfgs", max_iter=2000, random_state=seed),
        "RBF-SVM": SVC(C=10.0),
        "1-NN": KNeighborsClassifier(1),
    }


def semi_supervised_methods(width: float, seed: int = 0) -> dict[str, ClassifierMixin]:
    """Classifiers that see the unlabeled points too, marked -1.

    `width` is the kernel's standard deviation for the two graph methods. Self-training wraps a
    logistic regression on random Fourier features, and each round adopts the points of which it
    is at least 90% sure.
    """
    features = RBFSampler(gamma=2.0, n_components=300, random_state=seed)
    learner = make_pipeline(features, LogisticRegression(C=100.0, max_iter=1000))
    return {
        "self-training": SelfTrainingClassifier(learner, threshold=0.9, max_iter=None),
        "label propagation": LabelPropagation(gaussian_graph(width), max_iter=50_000, tol=1e-2),
        "label spreading": spreading(width),
    }


def fit(
    method: ClassifierMixin, data: PlaneData, labeled: Tensor, unlabeled: bool
) -> ClassifierMixin:
    """Fit a method to the labeled rows alone, or with all other points marked -1."""
    if not unlabeled:
        return method.fit(data.points[labeled].numpy(), data.classes[labeled].numpy())
    partial = np.full(len(data.classes), -1)
    partial[labeled] = data.classes[labeled].numpy()
    return method.fit(data.points.numpy(), partial)


def score(method: ClassifierMixin, data: PlaneData) -> float:
    """Share of the test cloud that a fitted method gets right."""
    return float(method.score(data.test_points.numpy(), data.test_classes.numpy()))


def compare_baselines(
    data: PlaneData, per_class: int, draws: int, seed: int, width: float
) -> pd.DataFrame:
    """Every method on the same label draws: one row a run, with method, labels, draw, accuracy."""
    rows = []
    for draw in range(draws):
        labeled = draw_labeled(data.classes, per_class, seed + draw)
        for unlabeled, methods in (
            (False, supervised_methods(seed + draw)),
            (True, semi_supervised_methods(width, seed + draw)),
        ):
            for name, method in methods.items():
                reached = score(fit(method, data, labeled, unlabeled), data)
                rows.append((name, per_class, draw, reached))
    return pd.DataFrame(rows, columns=["method", "labels", "draw", "accuracy"])
