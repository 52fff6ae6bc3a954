"""Figures of the DCGAN chapter: the animation, the losses, the judge's scores."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Image
from matplotlib.figure import Figure
from torch import Tensor

from ssgan_core.plots import CLASS_COLORS, DOTTED, GENERATED, animation, curves, tile

COLORS = (CLASS_COLORS[0], GENERATED)  # the discriminator's, or on real images; the generator's


def animate_samples(samples: Mapping[int, Tensor], columns: int = 8, alt: str = "") -> Image:
    """The same noise through training, step → images (N, 3, S, S) uint8, as an animated GIF.

    A bar below the images grows with the steps.
    """
    frames = []
    for step, images in samples.items():
        picture = tile(images, columns)
        bar = np.full((6, picture.shape[1], 3), 255, dtype=np.uint8)
        bar[2:5, : round(step / max(samples) * picture.shape[1])] = 110
        frames.append(np.concatenate([picture, bar]))
    return animation(frames, alt, milliseconds=400)


def loss_curves(trainings: Mapping[str, pd.DataFrame]) -> Figure:
    """For each training a column: both losses above, D on real and generated images below.

    Each table has a row a step; lines are running means over a fortieth of the steps. Dotted: the
    losses of a discriminator that cannot tell, 2 log 2 and log 2, and D = 1/2.
    """
    figure, axes = plt.subplots(
        2, len(trainings), squeeze=False, sharey="row", sharex="col",
        figsize=(max(4.6, min(2.6 * len(trainings), 7.6)), 4.3),
    )  # fmt: skip
    highest = 0.0
    for (above, below), (name, steps) in zip(axes.T, trainings.items(), strict=True):
        means = steps.rolling(max(len(steps) // 40, 1), min_periods=1).mean()
        highest = max(highest, means[["discriminator", "generator"]].to_numpy().max())
        for ax, terms in (
            (above, {"discriminator": "discriminator", "generator": "generator"}),
            (below, {"D(real)": "on real", "D(fake)": "on generated"}),
        ):
            curves(ax, steps[list(terms)], COLORS, linewidth=0.4, alpha=0.25)
            curves(ax, means[list(terms)].rename(columns=terms), COLORS)
        for height, color in zip((2 * np.log(2), np.log(2)), COLORS, strict=True):
            above.axhline(height, **DOTTED | {"color": color})
        below.axhline(0.5, **DOTTED)
        above.set(title=name)
        below.set(xlabel="step", ylim=(0, 1))
    axes[0, 0].set(ylabel="losses", ylim=(0, 1.15 * highest))
    axes[1, 0].set(ylabel="D")
    for ax in axes[:, 0]:
        ax.legend(handles=ax.lines[2:4], fontsize=8.5, loc="best")
    return figure


def score_curves(scores: pd.DataFrame, marks: Mapping[str, float]) -> Figure:
    """Fréchet distance (left, logarithmic), precision and recall (right) by step.

    `marks` are distances drawn as dotted lines: the floor, noise.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.3))
    scores = scores.set_index("step")
    curves(left, scores[["distance"]], marker="o", ms=3)
    curves(right, scores[["precision", "recall"]])
    for name, value in marks.items():
        left.axhline(value, **DOTTED)
        left.annotate(name, (0.99, value), xycoords=("axes fraction", "data"), fontsize=8,
                      ha="right", va="bottom")  # fmt: skip
    left.set(title="Fréchet distance", xlabel="step", yscale="log")
    right.set(title="precision, recall", xlabel="step", ylim=(0, 1))
    right.legend(fontsize=9)
    return figure
