"""Figures of the digits chapter."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ssgan_core.digits.training import Trained
from ssgan_core.plots import CLASS_COLORS, GENERATED, INK, UNLABELED
from ssgan_core.results import mean_ci

GRAYS = {"cmap": "gray_r", "vmin": 0, "vmax": 1}


def wall(images: Tensor, side: int, columns: int) -> np.ndarray:
    """Images (N, side * side) as one picture, `columns` a row, with a white line between them."""
    rows = len(images) // columns
    grid = images[: rows * columns].reshape(rows, columns, side, side).float().cpu().numpy()
    padded = np.pad(grid, ((0, 0), (0, 0), (0, 1), (0, 1)))
    return padded.transpose(0, 2, 1, 3).reshape(rows * (side + 1), columns * (side + 1))


def draw_wall(axes: Axes, images: Tensor, side: int, columns: int, title: str) -> None:
    """A wall of digits, ink black on white."""
    axes.imshow(wall(images, side, columns), **GRAYS)
    axes.set_title(title)
    axes.set_axis_off()


def plot_walls(walls: Mapping[int, Tensor], real: Tensor, side: int) -> Figure:
    """Digits by the generator before, halfway through and after training, and real ones."""
    steps = sorted(walls)
    shown = [steps[0], steps[len(steps) // 2], steps[-1]]
    figure, axes = plt.subplots(1, 4, figsize=(7.6, 2.2))
    for ax, step in zip(axes, shown, strict=False):
        draw_wall(ax, walls[step][:64], side, 8, f"step {step:,}")
    draw_wall(axes[-1], real[:64], side, 8, "real")
    return figure


def plot_labeled(images: Tensor, side: int) -> Figure:
    """The labeled images of one draw, in class order, a column for each class."""
    a_class = min(len(images) // 10, 10)
    chosen = images.reshape(10, -1, side * side)[:, :a_class].transpose(0, 1)
    figure, axes = plt.subplots(figsize=(5.5, 0.55 * a_class + 0.15))
    axes.imshow(wall(chosen.reshape(-1, side * side), side, 10), **GRAYS)
    axes.set_axis_off()
    return figure


def plot_curves(results: Mapping[str, Trained]) -> Figure:
    """Test accuracy during training: averaged weights as a line, the last weights dotted."""
    figure, axes = plt.subplots(figsize=(7.2, 3.3))
    for name, result in results.items():
        history = pd.DataFrame(result.history)
        (line,) = axes.plot(history.step, 100 * history.accuracy, marker="o", ms=3, label=name)
        color = line.get_color()
        axes.plot(history.step, 100 * history["last accuracy"], ":", color=color, lw=1.2)
    axes.set(xlabel="step", ylabel="test accuracy, %")
    axes.legend(loc="lower right")
    return figure


def plot_draws(accuracies: Mapping[str, Sequence[float]]) -> Figure:
    """Every method's test accuracy: a dot a label draw, a bar over the mean and its interval."""
    figure, axes = plt.subplots(figsize=(7.2, 0.5 * len(accuracies) + 0.9))
    for place, values in enumerate(accuracies.values()):
        mean, half = mean_ci(values)
        axes.plot(100 * np.array(values), [place] * len(values), "o", color=UNLABELED, ms=5)
        axes.errorbar(
            100 * mean, place, xerr=100 * half, fmt="D", color=INK, capsize=4, ms=5, zorder=3
        )
    axes.set_yticks(range(len(accuracies)), list(accuracies))
    axes.set(xlabel="test accuracy, %", ylim=(len(accuracies) - 0.5, -0.5))
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, 0), min(right, 100))
    axes.grid(axis="x", alpha=0.3)
    return figure


def plot_budget(
    supervised: Mapping[int, Sequence[float]],
    semi: Mapping[int, Sequence[float]],
    published: pd.DataFrame | None = None,
) -> Figure:
    """Test error against the number of labels, mean and interval over draws, both axes log.

    `published` has the columns method, labels, error and spread (shares of the test set).
    """
    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    lines = (("labels alone", supervised, CLASS_COLORS[1]), ("with the GAN", semi, CLASS_COLORS[0]))
    for name, accuracies, color in lines:
        labels = sorted(accuracies)
        mean, half = np.array([mean_ci([1 - v for v in accuracies[n]]) for n in labels]).T * 100
        half = np.minimum(np.nan_to_num(half), 0.99 * mean)
        axes.errorbar(labels, mean, yerr=half, color=color, marker="o", capsize=3, label=name)
    if published is not None:
        for marker, (method, rows) in zip("Ds^v<>", published.groupby("method"), strict=False):
            axes.errorbar(
                rows.labels, 100 * rows.error, yerr=100 * rows.spread, fmt=marker, ms=5,
                color=INK, mfc="white", capsize=2, label=f"{method} (published)",
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="labeled images", ylabel="test error, %")
    ticks = sorted(set(supervised) | set(semi))
    axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
    axes.minorticks_off()
    low, high = axes.get_ylim()
    errors = [e for e in (0.5, 1, 2, 5, 10, 20, 50) if low <= e <= high]
    axes.set_yticks(errors, [f"{e:g}" for e in errors])
    axes.legend(loc="upper right" if published is None else "center left",
                bbox_to_anchor=None if published is None else (1.0, 0.5), fontsize=9)  # fmt: skip
    return figure


def plot_confusions(supervised: np.ndarray, semi: np.ndarray) -> Figure:
    """Two confusion matrices (true class, predicted class) in percent of the true class."""
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.9), sharey=True)
    for ax, matrix, title in zip(
        axes, (supervised, semi), ("labels alone", "with the GAN"), strict=True
    ):
        share = 100 * matrix / matrix.sum(1, keepdims=True)
        wrong = np.where(np.eye(10, dtype=bool), np.nan, share)
        ax.imshow(wrong, cmap="Reds", vmin=0, vmax=30)
        for i, j in zip(*np.where(share >= 1.5), strict=True):
            ax.text(
                j, i, f"{share[i, j]:.0f}", ha="center", va="center", fontsize=8,
                color=UNLABELED if i == j else "white" if share[i, j] > 18 else INK,
            )  # fmt: skip
        ax.set(title=title, xlabel="predicted", xticks=range(10), yticks=range(10))
    axes[0].set_ylabel("true digit")
    return figure


def plot_rescued(images: Tensor, side: int, captions: Sequence[str]) -> Figure:
    """Test images with a caption each: those that one model gets right and the other does not."""
    figure, axes = plt.subplots(1, len(images), figsize=(7.6, 1.45))
    for ax, image, caption in zip(np.atleast_1d(axes), images, captions, strict=True):
        ax.imshow(image.reshape(side, side), **GRAYS)
        ax.set_title(caption, fontsize=9, fontweight="normal")
        ax.set_axis_off()
    return figure


def plot_generated_probability(values: np.ndarray) -> Figure:
    """Histogram of p("generated") over real images; beyond one half it beats every class."""
    figure, axes = plt.subplots(figsize=(7.2, 2.6))
    axes.hist(values, bins=np.linspace(0, 1, 41), color=GENERATED)
    axes.axvline(0.5, color=INK, ls=":", lw=1.2)
    axes.set(xlabel='p("generated") of real test images', ylabel="test images")
    return figure
