"""Figures of the DCGAN chapter: curves, the animation, rows of generated images."""

import io
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Image
from matplotlib.figure import Figure
from PIL import Image as Picture
from torch import Tensor

from ssgan_core.plots import CLASS_COLORS, GENERATED, INK
from ssgan_core.ssgan.figures import PALETTE, tile

COLORS = 64  # of the palette: sixteen frames of 24 pictures stay below 300 KiB


def animate_samples(samples: Mapping[int, Tensor], columns: int = 8, alt: str = "") -> Image:
    """The same noise through training, step → images (N, 3, S, S) uint8, as an animated GIF.

    A bar below the images grows with the steps; the last frame stays longer.
    """
    frames = [_frame(images, columns, step / max(samples)) for step, images in samples.items()]
    palette = Picture.fromarray(np.concatenate(frames[:1] + frames[-3:])).quantize(COLORS, dither=0)
    pictures = [Picture.fromarray(frame).quantize(palette=palette, dither=0) for frame in frames]
    buffer = io.BytesIO()
    duration = [400] * (len(frames) - 1) + [2500]
    pictures[0].save(buffer, format="GIF", save_all=True, append_images=pictures[1:],
                     duration=duration, loop=0, optimize=True)  # fmt: skip
    return Image(data=buffer.getvalue(), format="gif", alt=alt)


def _frame(images: Tensor, columns: int, progress: float) -> np.ndarray:
    picture = tile(images, columns)
    bar = np.full((6, picture.shape[1], 3), 255, dtype=np.uint8)
    bar[2:5, : round(progress * picture.shape[1])] = 110
    return np.concatenate([picture, bar])


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
        for ax, terms in ((above, ("discriminator", "generator")), (below, ("D(real)", "D(fake)"))):
            for term, color in zip(terms, (CLASS_COLORS[0], GENERATED), strict=True):
                ax.plot(steps.index, steps[term], color=color, linewidth=0.4, alpha=0.25)
                ax.plot(means.index, means[term], color=color)
        for height, color in ((2 * np.log(2), CLASS_COLORS[0]), (np.log(2), GENERATED)):
            above.axhline(height, color=color, linewidth=0.8, linestyle=":")
        below.axhline(0.5, color=INK, linewidth=0.8, linestyle=":")
        above.set(title=name)
        below.set(xlabel="step", ylim=(0, 1))
    axes[0, 0].set(ylabel="losses", ylim=(0, 1.15 * highest))
    axes[1, 0].set(ylabel="D")
    for ax, names in zip(
        axes[:, 0], (("discriminator", "generator"), ("on real", "on generated")), strict=True
    ):
        ax.legend(ax.lines[1:4:2], names, fontsize=8.5, loc="best")
    return figure


def score_curves(looks: Mapping[str, pd.DataFrame], marks: Mapping[str, float]) -> Figure:
    """Fréchet distance (left, logarithmic) and precision, recall (right, dashed) by step.

    `marks` are distances drawn as dotted lines: the floor, noise.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.3))
    for color, (name, look) in zip(PALETTE[1:], looks.items(), strict=False):
        left.plot(look.step, look.distance, color=color, marker="o", ms=3, label=name)
        right.plot(look.step, look.precision, color=color)
        right.plot(look.step, look.recall, color=color, linestyle="--")
    for name, value in marks.items():
        left.axhline(value, color=INK, linewidth=0.8, linestyle=":")
        left.annotate(name, (0.99, value), xycoords=("axes fraction", "data"), fontsize=8,
                      ha="right", va="bottom")  # fmt: skip
    left.set(title="Fréchet distance", xlabel="step", yscale="log")
    right.set(title="precision, recall", xlabel="step", ylim=(0, 1))
    right.plot([], [], color=INK, label="precision")
    right.plot([], [], color=INK, linestyle="--", label="recall")
    right.legend(fontsize=9)
    if len(looks) > 1:
        left.legend(fontsize=8.5)
    return figure
