"""Labels that spread over graphs of neighbors."""

import numpy as np

from ssgan_core.graphs import NEIGHBORS, neighbor_graph, spread

LINE = np.arange(20.0)[:, None]


def test_neighbors_are_joined_either_way_and_never_with_themselves():
    points = np.concatenate([LINE, [[100.0]]])  # one from afar, whom nobody has as a neighbor
    graph = neighbor_graph(points).toarray()
    assert (graph == graph.T).all() and not graph.diagonal().any()
    assert graph[20].nonzero()[0].tolist() == list(range(20 - NEIGHBORS, 20))
    assert (graph.sum(1) >= NEIGHBORS).all() and set(graph.flat) == {0, 1}


def test_other_points_have_their_nearest_points():
    near = neighbor_graph(LINE, np.array([[-3.0], [10.1]])).toarray()
    assert near.shape == (2, 20) and near[0].nonzero()[0].tolist() == list(range(NEIGHBORS))
    assert near[1].nonzero()[0].tolist() == [8, 9, 10, 11, 12]


def test_labels_reach_their_own_piece_and_no_other():
    points = np.concatenate([LINE, 1000 + LINE, 2000 + LINE])
    classes = np.full(60, -1)
    classes[0], classes[39] = 0, 1
    found = spread(neighbor_graph(points), classes)
    assert found.shape == (60, 2)
    assert (found[:20].argmax(1) == 0).all() and (found[20:40].argmax(1) == 1).all()
    assert np.allclose(found[:40].sum(1), 1) and not found[40:].any()


def test_spreading_solves_the_equation_of_its_authors():
    """F is (1 - a)(I - a S)^-1 Y, with rows that sum to 1 (Zhou et al. 2004, equation 4)."""
    points = np.random.default_rng(0).normal(size=(40, 2))
    graph, classes = neighbor_graph(points), np.full(40, -1)
    classes[:3] = [0, 1, 2]
    root = np.sqrt(graph.sum(1))
    known = np.eye(3)[classes] * (classes >= 0)[:, None]
    right = np.linalg.solve(np.eye(40) - 0.99 * graph.toarray() / root / root.T, known)
    found = spread(graph, classes)
    assert np.abs(found - right / right.sum(1, keepdims=True)).max() < 0.01
