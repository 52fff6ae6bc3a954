"""Figures of the digits chapter."""

from collections.abc import Mapping, Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from torch import Tensor

from ssgan_core import plots
from ssgan_core.digits.training import Trained


def pictures(images: Tensor, side: int) -> Tensor:
    """Images (N, side * side) in 0..1 as pictures (N, 3, side, side) uint8, ink black on white."""
    ink = images.reshape(-1, 1, side, side).float().cpu()
    return (255 * (1 - ink.clamp(0, 1))).round().byte().expand(-1, 3, -1, -1)


def plot_walls(walls: Mapping[int, Tensor], real: Tensor, side: int) -> Figure:
    """Digits by the generator before, halfway through and after training, and real ones."""
    steps = sorted(walls)
    chosen = (steps[0], steps[len(steps) // 2], steps[-1])
    shown = {f"step {step:,}": walls[step] for step in chosen} | {"real": real}
    drawn = {
        title: partial(plots.show_images, images=pictures(images[:36], side), columns=6)
        for title, images in shown.items()
    }
    return plots.plot_panels(drawn, columns=4, size=1.9)


def plot_labeled(images: Tensor, side: int) -> Figure:
    """The labeled images of one draw, in class order, a column for each class."""
    chosen = images.reshape(10, -1, side * side)[:, :10].transpose(0, 1)
    return plots.image_grid(pictures(chosen, side), 10)


def plot_curves(results: Mapping[str, Trained]) -> Figure:
    """Test accuracy during training: the EMA as a line, the last weights dotted."""
    figure, axes = plt.subplots(figsize=(7.2, 3.3))
    tables = {n: result.history.set_index("step") for n, result in results.items()}
    plots.curves(axes, {n: table["accuracy"] for n, table in tables.items()}, marker="o", ms=3)
    named = axes.get_lines()
    plots.curves(axes, {n: table["last accuracy"] for n, table in tables.items()}, ls=":", lw=1.2)
    axes.set(xlabel="step", ylabel="test accuracy")
    plots.in_percent(axes.yaxis)
    plots.name_ends(axes, named)
    return figure


def plot_budget(runs: pd.DataFrame, published: pd.DataFrame | None = None) -> Figure:
    """Test errors on a log axis, a panel for each number of labels, a row for each method.

    `runs` have the columns method, labels and last: each a dot, the diamond and its bar their mean
    and 95 % interval. `published` have method, labels, error and spread (shares of the test set):
    open diamonds. A run without an error stands at the left edge.
    """
    theirs = pd.DataFrame(columns=["method", "labels", "error"]) if published is None else published
    theirs = theirs.assign(method=theirs.method + " (published)")
    errors = 1 - runs["last"]
    least = np.nan_to_num(pd.concat([errors[errors > 0], theirs.error]).min(), nan=0.01) / 1.5
    runs = runs.assign(error=errors.clip(lower=least))  # zero has no place on a log axis
    rows = list(dict.fromkeys([*runs.method, *theirs.method]))
    budgets = sorted({*runs.labels, *theirs.labels})
    frames = {f"{labels:,} labels": (runs[runs.labels == labels], "error") for labels in budgets}
    figure = plots.dot_panels(frames, names=rows)
    figure.set_figheight(max(2.4, 0.9 + 0.35 * len(rows)))
    for axes, labels in zip(figure.axes, budgets, strict=True):
        for point in theirs[theirs.labels == labels].itertuples():
            axes.errorbar(point.error, rows.index(point.method), xerr=point.spread, fmt="D", ms=5,
                          color=plots.INK, mfc="white", capsize=3)  # fmt: skip
        axes.tick_params(axis="x", labelsize=8.5)
    axes.set(xscale="log", xlim=(least, 1))
    plots.in_percent(axes.xaxis)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.minorticks_off()
    figure.supxlabel("test error", fontsize=10)
    return figure


def plot_change(change: pd.DataFrame) -> Figure:
    """How confusions (true class, predicted class) change, in percent of the true class.

    Green is for the better, more on the diagonal and less elsewhere; red for the worse.
    """
    figure, axes = plt.subplots(figsize=(5.2, 4.8))
    points = 100 * change.to_numpy()
    better = np.where(np.eye(len(points), dtype=bool), points, -points)
    colors = LinearSegmentedColormap.from_list("change", [plots.WRONG, "white", plots.RIGHT])
    axes.imshow(better, cmap=colors, vmin=-30, vmax=30)
    for i, j in zip(*np.where(np.abs(points) >= 1.5), strict=True):
        dark = abs(points[i, j]) > 15
        axes.text(j, i, f"{points[i, j]:+.0f}", ha="center", va="center", fontsize=10,
                  color="white" if dark else plots.INK)  # fmt: skip
    axes.set(xlabel="predicted", ylabel="true digit", xticks=range(10), yticks=range(10))
    return figure


def plot_rescued(images: Tensor, side: int, captions: Sequence[str]) -> Figure:
    """Test images with a caption each: those that one model gets right and the other does not."""
    figure, axes = plt.subplots(figsize=(7.6, 1.1))
    plots.image_row(axes, pictures(images, side), captions)
    return figure


def plot_generated_probability(values: np.ndarray) -> Figure:
    """Histogram of p("generated") over real images; beyond one half it beats every class."""
    figure, axes = plt.subplots(figsize=(7.2, 2.6))
    axes.hist(values, bins=np.linspace(0, 1, 41), color=plots.GENERATED)
    axes.axvline(0.5, **plots.DOTTED)
    beyond = f"{(values > 0.5).mean():.0%} beyond one half"
    axes.text(0.51, 0.95, beyond, transform=axes.transAxes, va="top", color=plots.GENERATED)
    axes.set(xlabel='p("generated") of real test images', ylabel="test images")
    return figure
