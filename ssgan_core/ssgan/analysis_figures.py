"""Figures of what a trained network goes by: its statistics, its confidence, its view."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from ssgan_core.plots import INK, in_percent
from ssgan_core.ssgan.analysis import calibration_error, honest_calibration_error, reliability
from ssgan_core.ssgan.figures import PALETTE
from ssgan_core.ssgan.fit import Fit


def statistics_dots(tables: Sequence[pd.DataFrame]) -> Figure:
    """One panel a column of `compare_statistics`: each draw a dot, thick bars their means."""
    rows, columns = tables[0].index, tables[0].columns
    figure, panels = plt.subplots(1, len(columns), figsize=(7.6, 2.3), sharey=True)
    for axes, column in zip(panels, columns, strict=True):
        for row, (color, name) in enumerate(zip(PALETTE, rows, strict=False)):
            values = [table.loc[name, column] for table in tables]
            axes.scatter(values, [row] * len(values), color=color, s=36, alpha=0.6, zorder=3)
            axes.plot([np.mean(values)] * 2, [row - 0.28, row + 0.28], color=color, linewidth=3)
        axes.set_title(column, fontsize=10)
        axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
        if column == "D":
            axes.set_xlim(-0.05, 1.05)
        axes.xaxis.set_major_formatter("{x:.1f}" if column == "D" else "{x:.0%}")
    panels[0].set(ylim=(len(rows) - 0.5, -0.5))
    panels[0].set_yticks(range(len(rows)), list(rows))
    return figure


def reliability_diagram(fits: Mapping[str, Sequence[Fit]], labels: np.ndarray) -> Figure:
    """Accuracy against confidence, and the calibration error of each draw, recipe by recipe.

    Left: all draws of a recipe together, points as large as their share of the images; on the
    diagonal confidence is earned. Right: a dot a draw, a bar at their mean; the gray tick is what
    chance alone would give probabilities that are true. The recipes' names are the legend of both.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), width_ratios=(1.15, 1))
    chance = 1 / next(iter(fits.values()))[0].probabilities.shape[1]
    left.plot([chance, 1], [chance, 1], color=INK, linewidth=0.8, linestyle=":")
    for row, (color, runs) in enumerate(zip(PALETTE, fits.values(), strict=False)):
        together = np.concatenate([run.probabilities for run in runs])
        bins = reliability(together, np.tile(labels, len(runs)))
        left.plot(bins["confidence"], bins["accuracy"], color=color, linewidth=1.4)
        left.scatter(bins["confidence"], bins["accuracy"], 6 + 300 * bins["share"], color=color,
                     alpha=0.6, linewidths=0)  # fmt: skip
        errors = [calibration_error(run.probabilities, labels) for run in runs]
        honest = np.mean([honest_calibration_error(run.probabilities) for run in runs])
        right.scatter(errors, [row] * len(errors), color=color, s=42, alpha=0.6, zorder=3)
        right.plot([np.mean(errors)] * 2, [row - 0.25, row + 0.25], color=color, linewidth=3)
        right.plot([honest] * 2, [row - 0.25, row + 0.25], color="#9aa3ad", linewidth=1.6)
    left.set(xlabel="confidence", ylabel="accuracy", xlim=(chance - 0.02, 1.02))
    right.set_yticks(range(len(fits)), list(fits), fontweight="bold")
    for color, label in zip(PALETTE, right.get_yticklabels(), strict=False):
        label.set_color(color)
    right.set(xlabel="calibration error", xlim=(0, None), ylim=(len(fits) - 0.5, -0.5))
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        in_percent(axis)
    return figure


def occlusion_rows(
    images: Tensor, maps: Tensor, titles: Sequence[str], colors: Sequence[str]
) -> Figure:
    """Images (N, 3, S, S) uint8 above their occlusion maps (N, S, S), each on its own scale.

    Red places speak for the class of the title, blue ones against it.
    """
    figure, panels = plt.subplots(2, len(images), figsize=(7.6, 2.2))
    for column, image, values, title, color in zip(
        panels.T, images, maps, titles, colors, strict=True
    ):
        top = values.abs().max().clamp(min=1e-9)
        column[0].imshow(image.permute(1, 2, 0))
        column[1].imshow(image.float().mean(0), cmap="gray", alpha=0.5)
        column[1].imshow(
            values, cmap="RdBu_r", vmin=-top, vmax=top, alpha=0.75, interpolation="bilinear"
        )
        column[0].set_title(title, fontsize=8, color=color)
        for axes in column:
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    return figure
