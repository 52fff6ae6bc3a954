"""What pages share: colors and defaults, kinds of figures, and the package's source as shown."""

import inspect
import io
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle, groupby
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Image, Markdown, display
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from PIL import Image as Picture
from sklearn.isotonic import isotonic_regression
from torch import Tensor

from ssgan_core.intervals import gains, mean_ci

PALETTE = ("#6b7680", "#2a6fbb", "#f08a24", "#d62f4b", "#3a9a6b", "#7d5ba6", "#8c5a3c", "#14919b",
           "#d977b0", "#9a9a2e", "#c9a36a")  # fmt: skip
CLASS_COLORS = PALETTE[1:3]  # class 0 (cat, outer ring), class 1 (dog, inner ring)
GENERATED, RIGHT, WRONG = PALETTE[3], "#2c7a52", PALETTE[3]
UNLABELED = "#9aa3ad"
INK = "#22303c"
GAP = 2  # white pixels between two images of a picture
DOTTED = {"color": INK, "linewidth": 0.8, "linestyle": ":"}  # a line to compare with


def use_style() -> None:
    """Set the defaults of figures and tables.

    White ground (readable in dark mode), large type, few lines; no cell of a table is cut short.
    """
    pd.options.display.max_colwidth = None
    mpl.rcParams.update(
        dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "white")
        | dict.fromkeys(("axes.labelcolor", "axes.edgecolor", "text.color"), INK)
        | dict.fromkeys(("xtick.color", "ytick.color"), INK)
        | dict.fromkeys(("figure.dpi", "savefig.dpi"), 110)
        | dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False)
        | {
            "figure.figsize": (7.2, 3.6),
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.prop_cycle": mpl.cycler(color=PALETTE[1:]),
            "image.interpolation": "nearest",
        }
    )


def plot_panels(
    draw: Mapping[str, Callable[[Axes], None]], columns: int = 3, size: float = 2.45
) -> Figure:
    """A grid of square panels of so many inches: a title and the function that draws it, each."""
    columns = min(columns, len(draw))
    rows = -(-len(draw) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * size, rows * (size + 0.25)), squeeze=False
    )
    for ax in axes.flat[len(draw) :]:
        ax.set_axis_off()
    for ax, (title, function) in zip(axes.flat, draw.items(), strict=False):
        function(ax)
        ax.set_title(title)
    return figure


def in_percent(axis: Axis) -> None:
    """Label shares of 1 in percents, with ticks where these are exact."""
    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean of shares of 1 and the ends of its 95 % interval, which no figure draws past 0 or 1."""
    mean, half = mean_ci(values)
    return mean, *np.clip([mean - half, mean + half], min(mean, 0), max(mean, 1))


def dots(axes: Axes, runs: pd.DataFrame, column: str, names: Sequence[str] = ()) -> None:
    """A row a `method`: each run's share of 1 a dot, a diamond and a bar its mean and interval.

    `names` are the methods from top to bottom, also those without a run; else those of the runs.
    """
    names = list(names or dict.fromkeys(runs["method"]))
    values = [runs[column][runs["method"] == name] for name in names]
    for row in _rows(axes, names, values, cycle(PALETTE)):
        if values[row].empty:
            continue
        mean, low, high = interval(values[row])
        axes.errorbar(mean, row, xerr=[[mean - low], [high - mean]], fmt="D", ms=5, color=INK,
                      capsize=3)  # fmt: skip
    in_percent(axes.xaxis)


def _rows(
    axes: Axes, names: Sequence[str], values: Sequence[Sequence[float]], colors: Iterable[str]
) -> range:
    """Named rows from top to bottom, in each its values as dots of its color; their places."""
    jitter = np.random.default_rng(0)
    for row, (color, points) in enumerate(zip(colors, values, strict=False)):
        places = row + jitter.uniform(-0.15, 0.15, len(points))
        axes.scatter(points, places, s=24, color=color, alpha=0.6, linewidths=0)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    return range(len(names))


def dot_panels(
    frames: Mapping[str, tuple[pd.DataFrame, str]],
    line: float = np.nan,
    names: Sequence[str] = (),
) -> Figure:
    """Dots of runs in a column side by side, by title; a dotted line, say, at chance.

    The panels share their rows: a method has the same row in all, empty where it has no run.
    `names` are the rows, as of `dots`.
    """
    methods = list(names or dict.fromkeys(n for runs, _ in frames.values() for n in runs.method))
    figure, axes = plt.subplots(
        1, len(frames), squeeze=False, sharey=True, figsize=(7.4, 0.8 + 0.45 * len(methods)),
        sharex=len({column for _, column in frames.values()}) == 1,
    )  # fmt: skip
    for ax, (title, (runs, column)) in zip(axes[0], frames.items(), strict=True):
        dots(ax, runs, column, methods)
        ax.axvline(line, **DOTTED)
        ax.set_title(title, fontsize=10)
    return figure


def accuracy_dots(runs: pd.DataFrame, line: float = np.nan) -> Figure:
    """Test accuracy at the last step, run by run."""
    figure = dot_panels({"": (runs, "last")}, line)
    figure.supxlabel("test accuracy", fontsize=10)
    return figure


def gain_dots(runs: pd.DataFrame, pairs: Mapping[str, tuple[str, str]]) -> Figure:
    """What one method gains over another in points of test accuracy: title → (method, other).

    A dot a draw, a diamond and a bar the mean and its 95 % interval, as `intervals.gain` has them;
    dark where the interval excludes zero, light where it does not.
    """
    figure, axes = plt.subplots(figsize=(7.4, 0.9 + 0.45 * len(pairs)))
    found = list(gains(runs, pairs).values())
    for row in _rows(axes, list(pairs), [part.each for part in found], cycle([UNLABELED])):
        part = found[row]
        color = INK if part.verdict in ("adds", "costs") else PALETTE[0]
        half = 0 if np.isnan(part.half) else part.half
        axes.errorbar(part.mean, row, xerr=half, fmt="D", ms=6, capsize=3, color=color,
                      mfc=color if color == INK else "white")  # fmt: skip
    axes.axvline(0, **DOTTED)
    axes.set_xlabel("points of test accuracy")
    return figure


def accuracy_by_labels(runs: pd.DataFrame) -> Figure:
    """Mean test accuracy against the number of labels (columns method, labels, last), a line a
    method; bars are one standard deviation over runs, none at a single run."""
    figure, axes = plt.subplots(figsize=(7.2, 3.4))
    for place, (name, own) in enumerate(runs.groupby("method", sort=False)):
        found = own.groupby("labels")["last"].agg(["mean", "std"])
        found.index = found.index * 1.03 ** (place - 1.5)  # so that no bar hides another
        axes.errorbar(found.index, found["mean"], found["std"], marker="o", capsize=3,
                      color=PALETTE[place], label=name)  # fmt: skip
    numbers = sorted(set(runs["labels"]))
    axes.set(xscale="log", xlabel="labels", ylabel="test accuracy")
    axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
    axes.minorticks_off()
    in_percent(axes.yaxis)
    axes.legend(fontsize=9)
    return figure


def curves(
    axes: Axes,
    lines: pd.DataFrame | Mapping[str, pd.Series | pd.DataFrame],
    colors: Sequence[str] = PALETTE[1:],
    **style: Any,
) -> None:
    """Lines by name over their index; a table is runs, a thin line a column, thick their mean."""
    for color, (name, line) in zip(cycle(colors), lines.items(), strict=False):
        if line.ndim == 2:
            axes.plot(line, color=color, linewidth=0.7, alpha=0.45)
            axes.plot(line.mean(axis=1), color=color, linewidth=2.2, label=name)
        else:
            axes.plot(line, color=color, label=name, **style)


def name_ends(axes: Axes, lines: Sequence[Line2D]) -> None:
    """The lines' names at their right ends, in their colors, none over another; limits stay."""
    height = 1.2 * plt.rcParams["font.size"]  # of a name, in points
    lines = sorted(lines, key=lambda line: line.get_ydata()[-1])
    ends = np.array([line.get_xydata()[-1] for line in lines])
    axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())
    at = axes.transData.transform(ends)[:, 1] * 72 / axes.figure.dpi
    steps = height * np.arange(len(at))
    places = isotonic_regression(at - steps) + steps  # the nearest that are so far apart
    for line, end, moved in zip(lines, ends, places - at, strict=True):
        axes.annotate(line.get_label(), end, (6, moved), va="center", color=line.get_color(),
                      textcoords="offset points")  # fmt: skip


def tile(images: Tensor, columns: int) -> np.ndarray:
    """One picture of many: images (N, 3, S, S) uint8 → (height, width, 3), white between them."""
    count, _, side, _ = images.shape
    rows, step = max(-(-count // columns), 1), side + GAP
    places = np.full((rows * columns, step, step, 3), 255, dtype=np.uint8)
    places[:count, :side, :side] = images.permute(0, 2, 3, 1).cpu().numpy()
    grid = places.reshape(rows, columns, step, step, 3).swapaxes(1, 2)
    return grid.reshape(rows * step, columns * step, 3)[:-GAP, :-GAP]


def show_images(axes: Axes, images: Tensor, columns: int, titles: Sequence[str] = ()) -> None:
    """Images (N, 3, S, S) uint8 in a grid; `titles`, where given, one a row, at the left."""
    step = images.shape[-1] + GAP
    axes.imshow(tile(images, columns))
    axes.set_xticks([])
    axes.set_yticks([(i + 0.5) * step for i in range(len(titles))], titles)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def image_grid(images: Tensor, columns: int = 10, titles: Sequence[str] = ()) -> Figure:
    """A figure of images (N, 3, S, S) uint8, as `show_images` has them."""
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(figsize=(7.2, 7.2 * rows / columns))
    show_images(axes, images, columns, titles)
    return figure


def image_row(
    axes: Axes, images: Tensor, captions: Sequence[str] = (), colors: Sequence[str] = (INK,)
) -> None:
    """Images (N, 3, S, S) uint8 side by side, each with a caption below in one of the colors."""
    show_images(axes, images, max(len(images), 1))
    side = images.shape[-1]
    for i, (color, text) in enumerate(zip(cycle(colors), captions, strict=False)):
        axes.text(i * (side + GAP) + side / 2, side + 1, text, color=color, ha="center", va="top",
                  fontsize=8)  # fmt: skip


def animation(frames: Sequence[np.ndarray], alt: str, milliseconds: int) -> Image:
    """Frames (height, width, 3) uint8 as an animated GIF; the last one stays longer.

    All share one palette, in which the few pixels of marks count as much as the ground.
    """
    chosen = [frames[0], frames[len(frames) // 2], frames[-1]]
    height, width, _ = frames[0].shape
    for color in ("white", INK, GENERATED, *CLASS_COLORS):
        mark = 255 * np.array(mpl.colors.to_rgb(color))
        chosen.append(np.full((height // 12, width, 3), mark.round(), dtype=np.uint8))
    palette = Picture.fromarray(np.concatenate(chosen)).quantize(48, dither=0)
    first, *others = (Picture.fromarray(f).quantize(palette=palette, dither=0) for f in frames)
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=others, loop=0, optimize=True,
               duration=[milliseconds] * len(others) + [2500])  # fmt: skip
    return Image(data=buffer.getvalue(), format="gif", alt=alt)


def one_line() -> Callable[[str], None]:
    """A report of trainings for a cell of a notebook, in which a line that tells how far a training
    is takes the place of the one before; what else is said, such as a warning, stays."""
    handle = None

    def report(text: str) -> None:
        nonlocal handle
        if not re.search(r"\b(step|draw|set) \d", text):
            print(text)
        elif handle is None:
            handle = display({"text/plain": text}, raw=True, display_id=True)
        else:
            handle.update({"text/plain": text}, raw=True)

    return report


def say(prefix: str, words: Mapping[str, object]) -> None:
    """Give sentences of the page their numbers: each word of `words` as `prefix-key`.

    A table shows them where the page is read as a notebook, whose sentences have no numbers; the
    page leaves out the whole cell (tag `remove-cell`).
    """
    from myst_nb import glue  # brings Sphinx, which only pages need

    for key, word in words.items():
        glue(f"{prefix}-{key}", str(word), display=False)
    display(pd.DataFrame({"the next sentences say": {k: str(word) for k, word in words.items()}}))


def show_source(*objects: Callable | type) -> Markdown:
    """Source of functions, methods or classes as it stands in the package, highlighted in the page.

    The page shows the code that ran: nothing is copied, so nothing can drift apart. Above it stands
    the file it is from.
    """
    blocks = []
    for module, items in groupby(objects, lambda item: item.__module__):
        source = "\n\n\n".join(textwrap.dedent(inspect.getsource(i)).rstrip() for i in items)
        blocks.append(f"`{module.replace('.', '/')}.py`\n\n```python\n{source}\n```")
    return Markdown("\n\n".join(blocks))
