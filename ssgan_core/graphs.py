"""Labels spread over a graph of nearest neighbors, with no network at all."""

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading

NEIGHBORS = 5


def neighbor_graph(points: np.ndarray, others: np.ndarray | None = None) -> csr_matrix:
    """Which points (N, P) are near each other, (N, N), or near each of others (M, P), (M, N).

    1 for the `NEIGHBORS` nearest, else 0; among points one of the two directions is enough.
    Spreading wants a symmetric graph, and over scikit-learn's `kernel="knn"`, which is none, it
    reads fewer digits right.
    """
    nearest = NearestNeighbors(n_neighbors=NEIGHBORS).fit(points)
    if others is not None:
        return nearest.kneighbors_graph(others)
    graph = nearest.kneighbors_graph()
    return graph.maximum(graph.T)


def label_spreading(kernel: Callable) -> LabelSpreading:
    """Label spreading (Zhou et al. 2004) over a kernel, with the authors' alpha of 0.99."""
    return LabelSpreading(kernel, alpha=0.99, max_iter=20_000, tol=1e-4)


def spread(graph: csr_matrix, classes: np.ndarray) -> np.ndarray:
    """Distributions over classes (N, K) at the nodes of a graph (N, N), from a few known classes.

    `classes` (N,) are -1 where unknown; a node that no label reaches has zeros. Source: Zhou et al.
    2004.
    """
    model = label_spreading(lambda x, y: graph)
    return model.fit(np.zeros((len(classes), 1)), classes).label_distributions_
