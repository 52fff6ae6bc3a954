"""Figures of the chapters in the plane: decision maps, generated points, animations, dots."""

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from torch import Tensor

from ssgan_core import losses
from ssgan_core.interactive.figure import Interactive, interactive
from ssgan_core.plane.points import PlaneData
from ssgan_core.plane.study import GOAL, solved
from ssgan_core.plots import (
    CLASS_COLORS,
    DOTTED,
    GENERATED,
    INK,
    UNLABELED,
    animation,
    dot_panels,
    in_percent,
    plot_panels,
)

LIMIT = 1.6
POINT = "#6f7983"  # a darker gray than elsewhere, to be seen on a colored ground
CLASS_MAP = LinearSegmentedColormap.from_list(
    "classes", [CLASS_COLORS[0], "white", CLASS_COLORS[1]]
)
REAL_MAP = LinearSegmentedColormap.from_list("real", ["white", "#cfe3d8", "#2f7d5b"])


def grid(side: int) -> Tensor:
    """Points (side², 2) of a square grid, row by row from the bottom left."""
    line = torch.linspace(-LIMIT, LIMIT, side)
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
    axes.spines[:].set_visible(False)


@torch.no_grad()
def class_share(classifier, run: int, points: Tensor) -> Tensor:
    """p(last class) of one run of a stack at points (N, 2)."""
    return classifier(points)[0][run].softmax(-1)[:, -1]


def snapshot(points: Tensor, run: int = 0) -> Callable:
    """A `watch` for `train`: p(class 1), D and generated points of one run at `points`."""

    @torch.no_grad()
    def watch(step: int, classifier, generated: Tensor | None) -> dict:
        return {
            "step": step + 1,
            "class": class_share(classifier, run, points),
            "real": losses.log_z(classifier(points)[0][run]).sigmoid(),
            "generated": None if generated is None else generated[run].clone(),
        }

    return watch


def animate(
    stories: Mapping[str, Sequence[dict]],
    draw: Callable[[Axes, dict], None],
    alt: str,
    milliseconds: int = 350,
    size: float = 1.95,
) -> Image:
    """Snapshots of several runs side by side, each of a size in inches, as an animated GIF."""
    columns = len(stories)
    figure = Figure(figsize=(size * columns, size + 0.4), dpi=84, layout="none")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.84, wspace=0.05)
    canvas, frames = FigureCanvasAgg(figure), []
    for moment in zip(*stories.values(), strict=False):
        for ax, name, item in zip(axes, stories, moment, strict=True):
            ax.clear()
            draw(ax, item)
            ax.set_title(name, fontsize=10)
        figure.suptitle(f"step {moment[0]['step']:,}", fontsize=10)
        canvas.draw()
        frames.append(np.array(canvas.buffer_rgba())[..., :3])
    return animation(frames, alt, milliseconds)


def plot_dots(runs: pd.DataFrame, title: str = "{} labels a ring") -> Figure:
    """Accuracy of every run and its mean by method, a panel a number of labels; a line at 99 %.

    At the right of a row, how many of its runs reach that line.
    """
    panels = dict(iter(runs.groupby("labels", sort=False)))
    figure = dot_panels({title.format(n): (group, "accuracy") for n, group in panels.items()}, GOAL)
    for axes, group in zip(figure.axes, panels.values(), strict=True):
        counts = group.groupby("method", sort=False).accuracy.agg(solved)
        for row, count in enumerate(counts):
            told = f"{count}/{len(group) // len(counts)}"
            axes.text(
                1.01, row, told, transform=axes.get_yaxis_transform(), va="center", fontsize=9
            )
    figure.supxlabel("test accuracy", fontsize=10)
    return figure


def plot_widths(by_width: pd.DataFrame, named: Mapping[str, float]) -> Figure:
    """Accuracies by kernel width, a column a width; shaded what is wider than all named widths."""
    figure, axes = plt.subplots(figsize=(6.4, 3))
    axes.plot(by_width.columns, by_width.T, "o", ms=4, color=CLASS_COLORS[0], alpha=0.5)
    axes.plot(by_width.mean(), color=CLASS_COLORS[0])
    for name, place in named.items():
        axes.axvline(place, **DOTTED)
        axes.text(place, 1.01, name, ha="center", va="bottom", fontsize=9,
                  transform=axes.get_xaxis_transform())  # fmt: skip
    low, high = axes.get_xlim()
    axes.axvspan(max(named.values()), high, color=UNLABELED, alpha=0.2)
    axes.set(xlabel="kernel width", ylabel="test accuracy", xlim=(low, high))
    in_percent(axes.yaxis)
    return figure


def real_steps(logits: Sequence[float], steps: int, rate: float) -> Tensor:
    """(steps + 1, K) logits of one point on which gradient descent lowers -log D, and no other."""
    path = [torch.tensor(logits)]
    for _ in range(steps):
        now = path[-1].clone().requires_grad_()
        (slope,) = torch.autograd.grad(losses.real_loss(now[None]), now)
        path.append(path[-1] - rate * slope)
    return torch.stack(path)


def k_logits(alt: str, rate: float = 1.0, steps: int = 30) -> Interactive:
    """The K-logit machine: two logits, and what they make of Z, D, the classes and both losses.

    The still has its two lessons: what raising all logits changes, and what real steps do.
    """
    data = {"start": (2.0, 1.0), "untied": (-2.0, -2.2), "tied": (-2.0, -2.0), "rate": rate}
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.4, 3.2))
    level = np.linspace(-5, 2, 71)
    logits = torch.tensor(data["start"]) + torch.tensor(level)[:, None]
    shares = logits.softmax(-1).T
    raised = {"D": losses.log_z(logits).sigmoid(), "p(1 | x)": shares[0], "p(2 | x)": shares[1]}
    untied, tied = (real_steps(data[name], steps, rate) for name in ("untied", "tied"))
    paths = {"tied": tied[:, 0], "class 1": untied[:, 0], "class 2": untied[:, 1]}
    for axes, lines, first in ((left, raised, REAL_MAP(1.0)), (right, paths, INK)):
        for color, (name, line) in zip((first, *CLASS_COLORS), lines.items(), strict=True):
            places = level if axes is left else range(steps + 1)
            axes.plot(places, line, ":" if name == "tied" else "-", color=color, linewidth=2)
            axes.annotate(name, (places[-1], line[-1]), (5, 0), textcoords="offset points",
                          va="center", fontsize=10)  # fmt: skip
    left.set(title="both logits raised", xlabel="raised by", ylim=(0, 1.02))
    right.set(title="real steps", xlabel="step", ylabel="logit")
    return interactive("k_logits", data, figure, alt)


FILM_SIDE, FILM_HALF = 40, 23  # of a map: places a side, levels on either side of 1/2


def film_watch(data: PlaneData) -> Callable:
    """A `watch` for `compare`: of each run 8 bits a number, (R, n), as `film` reads them.

    p(class 1) and D on the grid, the generated points, and the accuracy on the test cloud; nothing
    where no point is generated. Levels of the maps are narrow near 1/2, where the line is.
    """
    places = grid(FILM_SIDE)

    @torch.no_grad()
    def watch(step: int, classifier, generated: Tensor | None) -> Tensor:
        if generated is None:
            return torch.empty(len(classifier.weights[0]), 0)
        logits = classifier(places)[0]
        maps = torch.cat([logits.softmax(-1)[..., -1], losses.log_z(logits).sigmoid()], 1) * 2 - 1
        right = classifier(data.test_points)[0].argmax(-1) == data.test_classes
        points = (generated / (2 * LIMIT) + 0.5).flatten(1).clamp(0, 1)
        levels = FILM_HALF * (1 + maps.sign() * maps.abs().sqrt())
        shares = 255 * torch.cat([points, right.float().mean(-1, keepdim=True)], 1)
        return torch.cat([levels, shares], 1).round().byte()

    return watch


def shares_of(levels: Tensor) -> Tensor:
    """The shares in 0..1 of a map of `film_watch`."""
    values = levels / FILM_HALF - 1
    return (1 + values * values.abs()) / 2


def belt(
    film: Tensor, labeled: Tensor, data: PlaneData, steps: int, every: int, name: str, alt: str
) -> Image:
    """One run of `film_watch` as an animated GIF: its generated points, and its class boundary."""
    cells, known = FILM_SIDE**2, (data.points[labeled], data.classes[labeled])
    moments = [
        {
            "step": moment_of(i, steps, every),
            "class": shares_of(row[:cells]),
            "points": (row[2 * cells : -1].view(-1, 2) / 255 - 0.5) * 2 * LIMIT,
        }
        for i, row in enumerate(film.float())
    ]

    def draw(axes: Axes, moment: dict) -> None:
        draw_map(axes, moment["class"])
        draw_points(axes, data.points, known, moment["points"])

    return animate({name: moments}, draw, alt, size=3.2)


def moment_of(i: int, steps: int, every: int) -> int:
    """After how many steps the moment i of a film was."""
    return min(i * every, steps - 1) + 1


def film(
    runs: pd.DataFrame, draws: Sequence[int], labeled: Tensor, data: PlaneData, steps: int,
    every: int, enter: Mapping[str, float], pair: tuple[str, str], alt: str,
) -> Interactive:  # fmt: skip
    """The film of some draws: two runs side by side at any moment of training, and their accuracy.

    `runs` have the column film of `compare` with `film_watch`, every so many steps; `labeled` are
    the rows of all draws' labels. `enter` tells after which share of training a method sees them;
    `pair` are the methods shown at first. The still has all methods at the end, in the first draw.
    """
    films = runs.set_index(["method", "draw"]).film
    shown = torch.stack([torch.stack([films[name, draw] for draw in draws]) for name in enter])
    cells = FILM_SIDE**2

    def ground(levels: Tensor, cmap: LinearSegmentedColormap) -> Callable[[Axes], None]:
        def panel(ax: Axes) -> None:
            draw_map(ax, shares_of(levels), cmap, 0.45 if cmap is CLASS_MAP else 1)
            known = labeled[draws[0]]
            draw_points(ax, data.points[:0], (data.points[known], data.classes[known]))

        return panel

    ends = dict(zip(enter, shown[:, 0, -1].float(), strict=True))
    panels = {name: ground(end[:cells], CLASS_MAP) for name, end in ends.items()}
    panels |= {f"D, {name}": ground(end[cells : 2 * cells], REAL_MAP) for name, end in ends.items()}
    still = plot_panels(panels, columns=len(ends), size=1.85)

    def packed(points: Tensor) -> list[int]:
        return (255 * (points / (2 * LIMIT) + 0.5)).round().int().flatten().tolist()

    given = {
        "methods": [
            {"name": name, "enter": share * steps, "accuracy": group.accuracy.tolist()}
            for name, share in enter.items()
            for group in [runs[runs.method == name].sort_values("draw")]
        ],
        "pair": [list(enter).index(name) for name in pair],
        "draws": list(draws),
        "steps": [moment_of(i, steps, every) for i in range(shown.shape[2])],
        "side": FILM_SIDE,
        "half": FILM_HALF,
        "size": shown.shape[3],
        "film": base64.b64encode(zlib.compress(shown.numpy().tobytes(), 9)).decode(),
        "cloud": packed(data.points[:400]),
        "labeled": [packed(data.points[labeled[draw]]) for draw in draws],
        "classes": [data.classes[labeled[draw]].tolist() for draw in draws],
    }
    return interactive("film", given, still, alt)
