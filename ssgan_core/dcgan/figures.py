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

    A bar below the images grows with the steps. The first frame is the last one's: it stays where
    nothing is to move.
    """
    frames = []
    for step, images in samples.items():
        picture = tile(images, columns)
        bar = np.full((6, picture.shape[1], 3), 255, dtype=np.uint8)
        bar[2:5, : round(step / max(samples) * picture.shape[1])] = 110
        frames.append(np.concatenate([picture, bar]))
    return animation([frames[-1], *frames], alt, milliseconds=400)


def loss_curves(trainings: Mapping[str, pd.DataFrame]) -> Figure:
    """For each training a column: both losses above, D on real and generated images below.

    Each table has a row a step. Lines are running means over a fortieth of the steps, bands the
    tenth to ninetieth percentile there. Dotted: the losses of a discriminator that cannot tell,
    2 log 2 and log 2, and D = 1/2.
    """
    figure, axes = plt.subplots(
        2, len(trainings), squeeze=False, sharey="row", sharex="col",
        figsize=(max(6.0, min(2.6 * len(trainings), 7.2)), 4.3),
    )  # fmt: skip
    rows = (("discriminator", "generator"), ("D(real)", "D(fake)"))
    for column, (name, steps) in zip(axes.T, trainings.items(), strict=True):
        near = steps.rolling(max(len(steps) // 40, 1), min_periods=1)
        means, low, high = near.mean(), near.quantile(0.1), near.quantile(0.9)
        for ax, terms in zip(column, rows, strict=True):
            for color, term in zip(COLORS, terms, strict=True):
                ax.fill_between(steps.index, low[term], high[term], color=color, alpha=0.2, lw=0)
            curves(ax, means[list(terms)], COLORS)
        for height, color in zip((2 * np.log(2), np.log(2)), COLORS, strict=True):
            column[0].axhline(height, **DOTTED | {"color": color})
        column[0].set(title=name)
        column[1].axhline(0.5, **DOTTED)
        column[1].set(xlabel="step", ylim=(0, 1))
    axes[0, 0].set(ylabel="loss", ylim=(0, None))
    axes[1, 0].set(ylabel="D")
    names = ("discriminator's loss, D on real images", "generator's loss, D on generated")
    figure.legend(axes[0, 0].lines[:2], names, loc="outside upper center", ncols=2, fontsize=9)
    return figure


def score_curves(scores: pd.DataFrame, floor: Mapping[str, float], untrained: float) -> Figure:
    """Fréchet distance (left, logarithmic), precision and recall (right) by step.

    Dotted: the `floor`, what real images score in all three, and the `untrained` distance.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2))
    scores = scores.set_index("step")
    curves(left, scores[["distance"]], marker="o", ms=3)
    for name, value in {"real images": floor["distance"], "untrained": untrained}.items():
        left.axhline(value, **DOTTED)
        left.annotate(name, (0.99, value), xycoords=("axes fraction", "data"), fontsize=9,
                      ha="right", va="bottom")  # fmt: skip
    curves(right, scores[["precision", "recall"]])
    for line in right.get_lines():
        right.axhline(floor[line.get_label()], **DOTTED | {"color": line.get_color()})
    left.set(title="Fréchet distance", xlabel="step", yscale="log")
    right.set(title="precision, recall", xlabel="step", ylim=(0, 1))
    right.legend(handles=right.lines[:2], fontsize=9, loc="lower right")
    return figure
