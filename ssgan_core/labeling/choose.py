"""Choose which photos to label, knowing no class of any.

Every method takes features (N, F) float32, how many to choose and a seed, and returns *groups*:
`count` disjoint int64 arrays of row numbers in the order of choice. The first row of a group is the
choice; the others, best first, stand in for it where a person cannot tell what it shows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from ssgan_core.errors import InputError

NEIGHBOURS, MOST_CLUSTERS, SMALLEST = 20, 500, 5  # of TypiClust, as public code has them
SIGMA = 1.0  # MaxHerding's kernel width, as public code has it
CHUNK = 1024  # columns of the kernel matrix held at once: 100 MB for 24,000 photos

Groups = list[np.ndarray]


def random(features: np.ndarray, count: int, seed: int) -> Groups:
    """Rows drawn without replacement; only the number of rows counts, and 50 are among 100."""
    order = np.random.default_rng(seed).permutation(len(features))
    return [order[first::count] for first in range(count)]


def kmeans(features: np.ndarray, count: int, seed: int) -> Groups:
    """The row nearest to each of `count` centroids of k-means, the largest cluster first."""
    found = KMeans(count, random_state=seed).fit(features)
    distance = np.linalg.norm(features - found.cluster_centers_[found.labels_], axis=1)
    return _by_cluster(found.labels_, distance, count, smallest=1)


def typical(features: np.ndarray, count: int, seed: int) -> Groups:
    """The most typical row of each of `count` clusters of k-means, the largest cluster first.

    Typicality is one over the mean distance to the 20 nearest neighbours in the cluster. Beyond 500
    clusters, and instead of clusters of fewer than five rows, large clusters give a second row.
    TypiClust (Hacohen et al. 2022, arXiv:2202.02794), section 3.
    """
    labels = KMeans(min(count, MOST_CLUSTERS), random_state=seed).fit_predict(features)
    distance = np.zeros(len(features))  # mean to the neighbours: one over the typicality
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) > 1:
            near = min(NEIGHBOURS, len(rows) - 1)
            distances, _ = NearestNeighbors(n_neighbors=near).fit(features[rows]).kneighbors()
            distance[rows] = distances.mean(axis=1)
    return _by_cluster(labels, distance, count, SMALLEST)


def herding(features: np.ndarray, count: int, seed: int) -> Groups:
    """Rows that greedily maximise the mean over all rows x of max k(x, chosen), their coverage.

    k(x, y) = exp(-|x - y|² / sigma²), with sigma 1 on features of length 1. Where
    features lie far closer than that, the kernel is linear in the squared distance and this is
    greedy k-medoids. Nothing is random. A group holds the rows that its first covers best.
    MaxHerding (Bae et al. 2024, arXiv:2407.12212), algorithm 1.

    Exact in O(N²F) operations and O(N) memory: a row's gain changes only by those rows that the
    last choice covers better, few and ever fewer, so that only their columns are made again.
    """
    points = torch.from_numpy(features)
    covered = torch.zeros(len(points))
    gains = torch.zeros(len(points), dtype=torch.float64)
    better = torch.ones(len(points))  # the most that there is to gain

    def add_gains(sign: int) -> None:
        """Count what each row would gain between `covered` and `better`."""
        for rows in torch.nonzero(better > covered)[:, 0].split(CHUNK):
            similar = _kernel(points, points[rows]).clamp_(covered[rows], better[rows])
            gains.add_(similar.sub_(covered[rows]).sum(1), alpha=sign)

    add_gains(1)
    chosen: list[int] = []
    while len(chosen) < count:
        gains[chosen] = -torch.inf  # a twin of a chosen row gains nothing, the row itself less
        chosen.append(int(gains.argmax()))
        better = torch.maximum(covered, _kernel(points, points[chosen[-1:]])[:, 0])
        add_gains(-1)
        covered = better
    nearest = _kernel(points, points[chosen])
    nearest[chosen, torch.arange(count)] = torch.inf
    similarity, labels = (part.numpy() for part in nearest.max(1))
    order = np.argsort(-similarity, kind="stable")
    return [order[labels[order] == label] for label in range(count)]


METHODS: dict[str, Callable[[np.ndarray, int, int], Groups]] = {
    "typical": typical,
    "herding": herding,
    "kmeans": kmeans,
    "random": random,
}


def choose(method: str, features: np.ndarray, count: int, seed: int = 0) -> Groups:
    """Groups of rows by one of `METHODS`, on the features scaled to length 1.

    `random` reads no features: an array (N, 0) serves it. Raises InputError for a count below 1 or
    above N, a seed that is no 32-bit number, and a row of features that is zero or not finite.
    """
    if not 1 <= count <= len(features):
        raise InputError(f"count is {count}; 1 to {len(features)} photos can be chosen from these.")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed is {seed}; 0 to {2**32 - 1} is accepted.")
    if method != "random":
        length = np.linalg.norm(features, axis=1)
        if not (useful := np.isfinite(length) & (length > 0)).all():
            row = np.flatnonzero(~useful)[0]
            raise InputError(
                f"The features of row {row} have length {length[row]}; finite ones above 0 are "
                f"accepted."
            )
        features = normalize(np.asarray(features, dtype=np.float32))
    return METHODS[method](features, count, seed)


def chosen(groups: Groups) -> np.ndarray:
    """The rows (count,) to be labeled: the first of each group."""
    return np.array([group[0] for group in groups])


def _kernel(points: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """exp(-|x - y|² / sigma²) of rows of length 1, float32 (N, M)."""
    return torch.mm(points, others.T).sub_(1).mul_(2 / SIGMA**2).exp_()


def _by_cluster(labels: np.ndarray, badness: np.ndarray, count: int, smallest: int) -> Groups:
    """The best row of each cluster, large ones first, then each one's second, until all are given.

    Clusters of fewer rows than `smallest` come after all others. The rows of a cluster that are not
    chosen are dealt to those that are.
    """
    sizes = np.bincount(labels)[labels]
    order = np.lexsort((badness, labels))
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.concatenate([np.arange(n) for n in np.bincount(labels)])
    chosen = np.lexsort((labels, -sizes, rank, sizes < smallest))[:count]
    turns = np.bincount(labels[chosen], minlength=labels.max() + 1)
    return [order[labels[order] == labels[row]][rank[row] :: turns[labels[row]]] for row in chosen]
