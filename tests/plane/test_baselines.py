"""Classifiers without a generator: the graph kernel, the fit with and without unlabeled points."""

import warnings

import numpy as np
import pytest
import torch

from ssgan_core.errors import InputError
from ssgan_core.plane import baselines as methods
from ssgan_core.plane.points import draw_labeled, rings

DATA = rings(600)
WIDTH = 0.08


def test_the_graph_is_a_gaussian_cut_off_at_three_widths():
    x = np.array([[0.0, 0], [0.1, 0], [5, 0]])
    graph = methods.gaussian_graph(0.1)(x, x).toarray()
    near = np.exp(-0.5)
    np.testing.assert_allclose(graph, [[1, near, 0], [near, 1, 0], [0, 0, 1]])


def test_spacing_is_the_distance_to_the_tenth_neighbor():
    line = torch.stack([torch.arange(101.0), torch.zeros(101)], 1)
    assert methods.spacing(line) == 5
    with pytest.raises(InputError, match="more than 10"):
        methods.spacing(line[:10])


def test_spreading_goes_round_the_rings_from_one_label_each_and_never_underflows():
    labeled = draw_labeled(DATA.classes, 1, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = methods.fit(methods.spreading(WIDTH), DATA, labeled, unlabeled=True)
        assert methods.score(fitted, DATA) == 1
        assert set(fitted.predict([[90.0, 90], [-90, 0]])) <= {0, 1}


def test_every_method_fits_silently_and_is_compared_on_the_same_draws():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = methods.compare_baselines(DATA, 4, draws=2, seed=0, width=WIDTH)
    assert len(frame) == 2 * 6
    assert frame.accuracy.between(0.4, 1).all()
    again = methods.compare_baselines(DATA, 4, draws=1, seed=1, width=WIDTH)
    first, second = frame[frame.draw == 1].accuracy, again.accuracy
    np.testing.assert_array_equal(first, second)


def test_a_width_of_zero_is_refused():
    with pytest.raises(InputError, match="'width' is 0; accepted: above 0"):
        methods.spreading(0)
