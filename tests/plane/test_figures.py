"""Animations of the chapters in the plane: their frames are the moments of a run."""

import io

import numpy as np
import pandas as pd
from PIL import Image

from ssgan_core.plane.figures import FILM_SIDE, belt, film_watch, plot_dots, plot_widths
from ssgan_core.plane.points import draw_many, rings
from ssgan_core.plane.settings import Recipe
from ssgan_core.plane.study import compare


def test_the_belt_has_the_film_s_moments_with_its_generated_points_where_they_are():
    data = rings(200)
    runs = compare(data, {"a": Recipe("oracle")}, {2: 1}, 6, 0, watch=film_watch(data), every=3)
    film = runs.film[0].clone()
    film[-1, 2 * FILM_SIDE**2 : -1] = 255  # at the end all generated points lie in one corner
    labeled = draw_many(data.classes, 2, 1, 0, 4)[0]
    picture = Image.open(io.BytesIO(belt(film, labeled, data, 6, 3, "a run", "x").data))
    assert picture.n_frames == len(film)
    red = []
    for frame in range(picture.n_frames):
        picture.seek(frame)
        r, g, b = np.array(picture.convert("RGB"), dtype=int).transpose(2, 0, 1)
        red.append(np.nonzero((r > g + 80) & (b > g + 10))[1] / picture.width)
    assert len(red[0]) > 20 and 0.3 < red[0].mean() < 0.7, "around the rings at first"
    assert red[-1].min() > 0.9, "then in the corner"


def test_beside_a_row_of_dots_stands_how_many_of_its_runs_reach_the_goal():
    runs = [("a", 2, 1.0), ("a", 2, 0.5), ("b", 2, 1.0), ("b", 2, 0.99), ("a", 4, 0.9)]
    figure = plot_dots(pd.DataFrame(runs, columns=["method", "labels", "accuracy"]))
    left, right = ([text.get_text() for text in axes.texts] for axes in figure.axes)
    assert (left, right) == (["1/2", "2/2"], ["0/1"])
    assert figure.axes[0].texts[1].get_position()[1] == 1, "in the row of its method"


def test_widths_have_a_dot_a_draw_and_stand_beside_those_that_have_a_name():
    runs = pd.DataFrame({0.1: [1.0, 0.9], 0.3: [0.5, 0.7]})
    (axes,) = plot_widths(runs, {"ours": 0.1, "the gap": 0.2}).axes
    *dots, mean = axes.lines[:3]
    assert [line.get_xydata().tolist() for line in dots] == [
        [[0.1, 1], [0.3, 0.5]],
        [[0.1, 0.9], [0.3, 0.7]],
    ]
    assert np.allclose(mean.get_xydata(), [[0.1, 0.95], [0.3, 0.6]])
    assert [(text.get_text(), text.get_position()[0]) for text in axes.texts] == [
        ("ours", 0.1),
        ("the gap", 0.2),
    ]
