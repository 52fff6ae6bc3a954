"""Figures of the digits chapter."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from ssgan_core.digits.figures import (
    plot_budget,
    plot_change,
    plot_curves,
    plot_generated_probability,
)
from ssgan_core.digits.step import METHODS


def test_every_method_and_every_published_point_stands_in_the_same_axes():
    """A point without a spread too, as VAT's; and a draw without an error."""
    methods = [*METHODS, "label_spreading"]
    rows = [
        (method, labels, 1 - i / 20 - seed / 100)
        for i, method in enumerate(methods)
        for labels in (20, 100)
        for seed in range(2)
    ]
    runs = pd.DataFrame(rows, columns=["method", "labels", "last"])
    points = [("Improved GAN", 50, 0.17, 0.05), ("VAT", 100, 0.0136, np.nan)]
    published = pd.DataFrame(points, columns=["method", "labels", "error", "spread"])
    figure = plot_budget(runs, published)
    twenty, fifty, hundred = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["20 labels", "50 labels", "100 labels"]
    rows = [tick.get_text() for tick in twenty.get_yticklabels()]
    assert rows == [*methods, "Improved GAN (published)", "VAT (published)"]
    means = {rows[int(bars.lines[0].get_ydata()[0])]: bars.lines[0] for bars in hundred.containers}
    assert [*means] == [*methods, "VAT (published)"]
    assert np.allclose(means["VAT (published)"].get_xdata(), [0.0136])
    assert np.allclose(means["pseudo_label"].get_xdata(), [0.105])
    (point,) = fifty.containers
    assert np.allclose(point.lines[0].get_xydata(), [[0.17, len(methods)]])
    left, _ = twenty.get_xlim()
    assert np.isclose(twenty.collections[0].get_offsets()[:, 0].min(), left)  # no error, yet drawn
    figure.canvas.draw()
    plot_budget(runs.assign(last=1.0)).canvas.draw()  # no draw with an error


def test_a_change_for_the_better_is_green_on_the_diagonal_and_off_it():
    change = pd.DataFrame(np.zeros((10, 10)))
    change.loc[2, 2], change.loc[2, 3], change.loc[4, 5], change.loc[7, 8] = 0.3, -0.3, 0.3, 0.01
    (axes,) = plot_change(change).axes
    (image,) = axes.images
    red, green, _, _ = np.moveaxis(image.to_rgba(image.get_array()), -1, 0)
    better, worse = green > red + 0.1, red > green + 0.1
    assert np.argwhere(better).tolist() == [[2, 2], [2, 3]]
    assert np.argwhere(worse).tolist() == [[4, 5]]
    assert [text.get_text() for text in axes.texts] == ["+30", "-30", "+30"]


def test_the_share_of_images_beyond_one_half_is_written():
    (axes,) = plot_generated_probability(np.array([0.1, 0.2, 0.3, 0.9])).axes
    assert [text.get_text() for text in axes.texts] == ["25% beyond one half"]


def test_a_curve_has_its_name_at_its_end():
    history = pd.DataFrame({"step": [1, 2], "accuracy": [0.5, 0.7], "last accuracy": [0.4, 0.6]})
    (axes,) = plot_curves({"GAN": SimpleNamespace(history=history)}).axes
    assert [(text.get_text(), text.xy) for text in axes.texts] == [("GAN", (2.0, 0.7))]
    assert axes.get_legend() is None
