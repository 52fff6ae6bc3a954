"""Figures of the chapters in the plane: decision maps, generated points, animations, dots."""

import io
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from PIL import Image as Picture
from torch import Tensor

from ssgan_core.plots import CLASS_COLORS, GENERATED, INK
from ssgan_core.results import mean_ci

LIMIT = 1.6
POINT = "#6f7983"  # a darker gray than elsewhere, to be seen on a colored ground
CLASS_MAP = LinearSegmentedColormap.from_list(
    "classes", [CLASS_COLORS[0], "white", CLASS_COLORS[1]]
)
REAL_MAP = LinearSegmentedColormap.from_list("real", ["white", "#cfe3d8", "#2f7d5b"])


def grid(side: int = 100, limit: float = LIMIT) -> Tensor:
    """Points (side², 2) of a square grid, row by row from the bottom left."""
    line = torch.linspace(-limit, limit, side)
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).reshape(-1, 2)


def draw_map(axes: Axes, values: np.ndarray, cmap=CLASS_MAP, alpha: float = 0.45) -> None:
    """Values (side²,) in 0..1 over the grid, as a colored ground; 1/2 is drawn as a line."""
    side = int(len(values) ** 0.5)
    values = np.asarray(values).reshape(side, side)
    extent = (-LIMIT, LIMIT, -LIMIT, LIMIT)
    axes.imshow(values, origin="lower", extent=extent, cmap=cmap, vmin=0, vmax=1, alpha=alpha,
                interpolation="bilinear")  # fmt: skip
    if values.min() < 0.5 < values.max():
        line = np.linspace(-LIMIT, LIMIT, side)
        axes.contour(line, line, values, levels=[0.5], colors=INK, linewidths=1.1)


def draw_points(
    axes: Axes,
    points: Tensor,
    labeled: tuple[Tensor, Tensor] | None = None,
    generated: Tensor | None = None,
) -> None:
    """Unlabeled cloud in gray, generated points in red, labeled points large in their color."""
    if len(points):
        axes.scatter(*points[:1000].T, s=2.5, color=POINT, linewidths=0, zorder=2)
    if generated is not None and len(generated):
        axes.scatter(*generated[:400].T, s=4, color=GENERATED, linewidths=0, alpha=0.8, zorder=3)
    if labeled is not None:
        colors = [CLASS_COLORS[int(label)] for label in labeled[1]]
        axes.scatter(*labeled[0].T, s=46, c=colors, edgecolors="white", linewidths=1.2, zorder=4)
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal", xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)


def plot_panels(
    panels: Mapping[str, Callable[[Axes], None]], columns: int = 3, size: float = 2.45
) -> Figure:
    """A grid of square panels: a title and the function that draws it, each."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * size, rows * (size + 0.25)), squeeze=False
    )
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    for ax, (title, draw) in zip(axes.flat, panels.items(), strict=False):
        draw(ax)
        ax.set_title(title)
    return figure


@torch.no_grad()
def class_share(classifier, run: int, points: Tensor) -> np.ndarray:
    """p(last class) of one run of a stack at points (N, 2)."""
    return classifier(points)[0][run].softmax(-1)[:, -1].numpy()


@torch.no_grad()
def real_share(classifier, run: int, points: Tensor) -> np.ndarray:
    """D = sigmoid(log Z) of one run of a stack at points (N, 2)."""
    return classifier(points)[0][run].logsumexp(-1).sigmoid().numpy()


def snapshot(points: Tensor, run: int = 0) -> Callable:
    """A `watch` for `train`: p(class 1), D and generated points of one run at `points`."""

    def watch(step: int, classifier, generated: Tensor | None) -> dict:
        return {
            "step": step + 1,
            "class": class_share(classifier, run, points),
            "real": real_share(classifier, run, points),
            "generated": None if generated is None else generated[run].clone(),
        }

    return watch


def animate(
    stories: Mapping[str, Sequence[dict]],
    draw: Callable[[Axes, dict], None],
    alt: str,
    milliseconds: int = 350,
) -> Image:
    """Snapshots of several runs side by side as an animated GIF; the last frame stays longer."""
    count = min(len(story) for story in stories.values())
    columns = len(stories)
    figure, axes = plt.subplots(
        1, columns, figsize=(1.95 * columns, 2.35), squeeze=False, layout="none"
    )
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.84, wspace=0.05)
    frames = []
    for at in range(count):
        for ax, (name, story) in zip(axes[0], stories.items(), strict=True):
            ax.clear()
            draw(ax, story[at])
            ax.set_title(name, fontsize=10)
        figure.suptitle(f"step {next(iter(stories.values()))[at]['step']:,}", fontsize=10)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=84)
        frames.append(Picture.open(buffer).convert("RGB"))
    plt.close(figure)
    palette = _palette(frames)
    pictures = [frame.quantize(palette=palette, dither=0) for frame in frames]
    buffer = io.BytesIO()
    duration = [milliseconds] * (count - 1) + [2500]
    pictures[0].save(buffer, format="GIF", save_all=True, append_images=pictures[1:],
                     duration=duration, loop=0, optimize=True)  # fmt: skip
    return Image(data=buffer.getvalue(), format="gif", alt=alt)


def _palette(frames: Sequence[Picture.Image], colors: int = 32) -> Picture.Image:
    """One palette for all frames, in which the few pixels of points count as much as the ground."""
    width, height = frames[0].size
    strip = height // 12
    chosen = [frames[0], frames[len(frames) // 2], frames[-1]]
    marks = ["white", GENERATED, INK, POINT, *CLASS_COLORS]
    sheet = Picture.new("RGB", (width, height * len(chosen) + strip * len(marks)), "white")
    for at, frame in enumerate(chosen):
        sheet.paste(frame, (0, height * at))
    for at, mark in enumerate(marks):
        sheet.paste(mark, (0, height * len(chosen) + strip * at, width, sheet.height))
    return sheet.quantize(colors, dither=0)


def plot_dots(frame: pd.DataFrame, by: str = "labels", title: str = "{} labels a ring") -> Figure:
    """Every run as a dot, the mean with its 95% interval as a bar; one panel for each `by`."""
    groups = list(dict.fromkeys(frame[by]))
    methods = list(dict.fromkeys(frame.method))
    figure, axes = plt.subplots(
        1, len(groups), sharey=True, squeeze=False,
        figsize=(7.4, 0.8 + 0.42 * len(methods)),
    )  # fmt: skip
    random = np.random.default_rng(0)
    for ax, group in zip(axes[0], groups, strict=True):
        for place, method in enumerate(methods):
            chosen = frame[(frame[by] == group) & (frame.method == method)].accuracy.to_numpy()
            height = place + random.uniform(-0.18, 0.18, len(chosen))
            ax.scatter(100 * chosen, height, s=14, color=CLASS_COLORS[0], alpha=0.45, linewidths=0)
            mean, half = mean_ci(chosen)
            ax.errorbar(100 * mean, place, xerr=100 * half, fmt="D", ms=5, color=INK, capsize=3)
        ax.axvline(99, color=GENERATED, lw=0.8, ls=":")
        ax.set(title=title.format(group), xlim=(min(45, 100 * frame.accuracy.min() - 2), 102),
               yticks=range(len(methods)), yticklabels=methods)  # fmt: skip
    axes[0, 0].invert_yaxis()
    figure.supxlabel("test accuracy, %", fontsize=10)
    return figure
