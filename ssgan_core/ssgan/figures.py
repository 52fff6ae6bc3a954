"""Figures of the chapters on photographs."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from torch import Tensor

from ssgan_core.plots import CLASS_COLORS, INK, in_percent
from ssgan_core.results import mean_ci
from ssgan_core.ssgan.fit import Fit

PALETTE = (
    "#6b7680",
    "#2a6fbb",
    "#f08a24",
    "#d62f4b",
    "#3a9a6b",
    "#7d5ba6",
    "#8c5a3c",
    "#14919b",
    "#d977b0",
    "#9a9a2e",
)


def tile(images: Tensor, columns: int, gap: int = 2) -> np.ndarray:
    """One picture of many: images (N, 3, S, S) uint8 → (height, width, 3), white between them."""
    count, _, side, _ = images.shape
    rows = -(-count // columns)
    step = side + gap
    canvas = np.full((rows * step - gap, columns * step - gap, 3), 255, dtype=np.uint8)
    for i, image in enumerate(images.permute(0, 2, 3, 1).cpu().numpy()):
        top, left = i // columns * step, i % columns * step
        canvas[top : top + side, left : left + side] = image
    return canvas


def image_grid(images: Tensor, columns: int = 10, titles: Sequence[str] = ()) -> Figure:
    """Images (N, 3, S, S) uint8 in a grid; `titles`, where given, one a row, at the left."""
    picture = tile(images, columns)
    width = 7.2
    figure, axes = plt.subplots(figsize=(width, width * picture.shape[0] / picture.shape[1]))
    axes.imshow(picture)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if titles:
        side = images.shape[-1]
        axes.set_yticks([i * (side + 2) + side / 2 for i in range(len(titles))], titles)
        axes.tick_params(length=0)
    return figure


def labeled_grid(images: Tensor, labels: np.ndarray, classes: Sequence[str], each: int) -> Figure:
    """The first images of each class, a row of panels a class: images (N, 3, S, S) uint8."""
    figure, panels = plt.subplots(len(classes), 1, figsize=(7.2, 1.55 * len(classes)))
    for k, (name, axes) in enumerate(zip(classes, np.atleast_1d(panels), strict=True)):
        axes.imshow(tile(images[np.flatnonzero(labels == k)[: 2 * each]], each))
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(name, color=CLASS_COLORS[k % 2], fontweight="bold")
        axes.spines[:].set_visible(False)
    return figure


def training_curves(fits: Mapping[str, Sequence[Fit]]) -> Figure:
    """Labeled loss and validation accuracy through training: a line a draw, thick their mean."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2))
    for color, (name, runs) in zip(PALETTE, fits.items(), strict=False):
        for axes, term in ((left, "labeled"), (right, "validation")):
            values = np.array([run.history[term] for run in runs])
            progress = runs[0].history["step"] / runs[0].history["step"].max()
            _runs_and_mean(axes, progress, values, color, name)
    left.set(title="labeled loss", xlabel="share of training", ylim=(0, None))
    right.set(title="validation accuracy", xlabel="share of training")
    right.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    in_percent(right.yaxis)
    names = right.get_legend_handles_labels()
    figure.legend(*names, loc="outside upper center", ncols=3, fontsize=9)
    return figure


def _runs_and_mean(axes: Axes, x, values: np.ndarray, color: str, name: str) -> None:
    """Values (runs, points): a thin line a run, a thick one for their mean."""
    axes.plot(x, values.T, color=color, linewidth=0.7, alpha=0.45)
    axes.plot(x, values.mean(0), color=color, linewidth=2.2, label=name)


def recorded_curves(runs: pd.DataFrame, names: Sequence[str] = ()) -> Figure:
    """Validation accuracy through recorded trainings: a line a run, thick their mean.

    `runs` as `read_recorded` gives them: its columns `method` and `validation`, a list a run.
    Methods in `names` have the colors that figures of these names in this order give them.
    """
    figure, axes = plt.subplots(figsize=(7.2, 3.4))
    order = dict.fromkeys([*names, *runs["method"]])
    for color, name in zip(PALETTE, order, strict=False):
        values = np.array(runs.loc[runs["method"] == name, "validation"].tolist())
        if len(values):
            along = np.arange(1, values.shape[1] + 1) / values.shape[1]
            _runs_and_mean(axes, along, values, color, name)
    axes.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="share of training", ylabel="validation accuracy", xlim=(0, 1))
    axes.yaxis.set_major_locator(MultipleLocator(0.05))
    axes.yaxis.set_major_formatter("{x:.0%}")
    figure.legend(loc="outside upper center", ncols=3, fontsize=9)
    return figure


def curve_beside_figures(
    epochs: Sequence[float], accuracy: Sequence[float], published: Mapping[str, tuple[float, float]]
) -> Figure:
    """Accuracy through one training, and what others report: name → (epoch, accuracy)."""
    figure, axes = plt.subplots(figsize=(7.2, 3.2))
    axes.plot(epochs, accuracy, color=PALETTE[1], marker=".", linewidth=1.8, label="validation")
    for color, (name, (epoch, value)) in zip(PALETTE[2:], published.items(), strict=False):
        axes.plot(epoch, value, "X", color=color, markersize=10, label=f"{name}: {value:.1%}")
    axes.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
    axes.set(xlabel="epoch", ylabel="accuracy", xlim=(0, None))
    axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(loc="lower right", fontsize=9)
    return figure


def accuracy_dots(
    fits: Mapping[str, Sequence[Fit]], published: Mapping[str, float] | None = None
) -> Figure:
    """Test accuracy: each draw a dot, their mean with its 95 % interval, chance as a line.

    `published` adds figures of others as dashed lines, name → accuracy.
    """
    figure, axes = plt.subplots(figsize=(7.2, 0.9 + 0.55 * len(fits)))
    for row, (color, (_, runs)) in enumerate(zip(PALETTE, fits.items(), strict=False)):
        values = [run.test["last"] for run in runs]
        mean, half = mean_ci(values)
        axes.errorbar(mean, row, xerr=0 if np.isnan(half) else half, color=color, capsize=4,
                      marker="|", markersize=16, linewidth=2)  # fmt: skip
        axes.scatter(values, np.full(len(values), row), color=color, s=42, alpha=0.6, zorder=3)
    axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=":")
    for name, value in (published or {}).items():
        axes.axvline(value, color="#7d5ba6", linewidth=1.2, linestyle="--")
        axes.annotate(f" {name}", (value, -0.45), color="#7d5ba6", fontsize=8, va="bottom")
    axes.set_yticks(range(len(fits)), list(fits))
    axes.set(ylim=(len(fits) - 0.5, -0.6), xlabel="test accuracy, last epoch")
    in_percent(axes.xaxis)
    return figure


def adversarial_curves(run: Fit) -> Figure:
    """Loss terms and D on real and generated images through one training of a GAN."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.1))
    history = run.history
    terms = [
        term
        for term in (
            "labeled",
            "real",
            "fake",
            "generator",
            "consistency",
            "contrast",
            "rotation",
            "entropy",
        )
        if term in history
    ]
    for term, color in zip(terms, PALETTE, strict=False):
        left.plot(history["step"], history[term], label=term, color=color)
    left.set(title="loss terms", xlabel="step", ylim=(0, None))
    left.legend(fontsize=9)
    right.plot(history["step"], history["D(real)"], color=CLASS_COLORS[0], label="D(real)")
    right.plot(history["step"], history["D(fake)"], color="#d62f4b", label="D(generated)")
    right.set(title="discriminator's output", xlabel="step", ylim=(0, 1))
    right.legend(fontsize=9)
    return figure


def generated_rounds(run: Fit, each: int = 10, rows: int = 5) -> Figure:
    """The same noise through training: a row for each of some rounds, first to last."""
    steps = list(run.samples)
    shown = [steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, rows).round().astype(int))]
    images = [image for step in shown for image in run.samples[step][:each]]
    return image_grid(torch.stack(images), each, [f"step {step}" for step in shown])


def confident_mistakes(
    images: Tensor,
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    each: int = 8,
) -> Figure:
    """The most confident wrong predictions above the most confident right ones.

    images (N, 3, S, S) uint8 with their probabilities (N, K) and true classes (N,).
    """
    confidence, wrong = probabilities.max(1), probabilities.argmax(1) != labels
    figure, panels = plt.subplots(2, 1, figsize=(7.6, 2.9))
    for axes, chosen, name in zip(panels, (wrong, ~wrong), ("wrong", "right"), strict=True):
        order = np.flatnonzero(chosen)[np.argsort(-confidence[chosen])][:each]
        axes.set_ylabel(name)
        if len(order):
            _predictions(axes, images[order], probabilities[order], labels[order], classes)
    return figure


def _predictions(
    axes: Axes, images: Tensor, probabilities: np.ndarray, labels: np.ndarray, classes
) -> None:
    """Images (N, 3, S, S) in one row, each with the predicted class and its probability."""
    axes.imshow(tile(images, len(images), gap=4))
    side = images.shape[-1] + 4
    for i, (row, label) in enumerate(zip(probabilities, labels, strict=True)):
        guess = int(row.argmax())
        axes.text(
            i * side + side / 2 - 2,
            side + 1,
            f"{classes[guess]} {row[guess]:.0%}",
            ha="center",
            va="top",
            fontsize=8,
            color="#2c7a52" if guess == label else "#d62f4b",
        )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
