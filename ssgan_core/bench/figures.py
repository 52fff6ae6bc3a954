"""Figures of the chapters on loading and on the speed of a step."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ssgan_core.plots import CLASS_COLORS, PALETTE, show_images

WAITING, COMPUTING = CLASS_COLORS[1], CLASS_COLORS[0]
NOTHING = (226, 231, 236)  # where a loader gave no image


def stage_bars(costs: Mapping[int, pd.DataFrame]) -> Figure:
    """What a photo costs in each stage: a panel a size, a bar a library, milliseconds."""
    figure, panels = plt.subplots(
        len(costs), 1, figsize=(7.2, 0.7 + 1.15 * len(costs)), sharex=True, squeeze=False
    )
    for axes, (size, frame) in zip(panels[:, 0], costs.items(), strict=True):
        frame.T.plot.barh(stacked=True, ax=axes, color=PALETTE, width=0.65, legend=False)
        axes.set_title(f"to {size} pixels", loc="left")
        axes.invert_yaxis()
    panels[-1, 0].set_xlabel("milliseconds a photo, one thread")
    handles, names = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), fontsize=9)
    return figure


def rate_bars(frame: pd.DataFrame, limits: Mapping[str, Mapping[int, float]]) -> Figure:
    """Images a second of each loader on a logarithmic axis; `limits`: name → size → rate."""
    sizes = frame["size"].unique()
    ways = frame["loader"].nunique()
    figure, panels = plt.subplots(
        len(sizes), 1, figsize=(7.2, len(sizes) * (0.9 + 0.32 * ways)), sharex=True, squeeze=False
    )
    for axes, size in zip(panels[:, 0], sizes, strict=True):
        rows = frame[frame["size"] == size]
        bars = axes.barh(rows["loader"], rows["images a second"], color=COMPUTING, height=0.65)
        colors = dict(zip(limits, (PALETTE[3], PALETTE[5]), strict=True))
        lower, higher = sorted(limits, key=lambda name: limits[name][size])
        for name, side in ((lower, "right"), (higher, "left")):
            place, color = limits[name][size], colors[name]
            axes.axvline(place, color=color, linestyle="--", linewidth=1.2)
            axes.annotate(f" {name} ", (place, -0.7), color=color, fontsize=9, ha=side)
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # over a limit's line
        axes.bar_label(bars, fmt="{:,.0f}", padding=4, fontsize=9, bbox=ground)
        axes.set(xscale="log", ylim=(ways - 0.5, -1.3))
        axes.set_title(f"to {size} pixels", loc="left")
    high = max(frame["images a second"].max(), *(max(v.values()) for v in limits.values()))
    panels[-1, 0].set(xlabel="images a second", xlim=(100, 6 * high))
    return figure


def timeline(traces: Mapping[str, pd.DataFrame]) -> Figure:
    """Waiting for images and computing through the same number of steps, a lane a loader."""
    figure, axes = plt.subplots(figsize=(7.2, 0.9 + 0.62 * len(traces)))
    for lane, times in enumerate(traces.values()):
        for start, end, color in (("asked", "ready", WAITING), ("ready", "done", COMPUTING)):
            axes.barh(lane, times[end] - times[start], 0.64, left=times[start], color=color)
        axes.vlines(times["done"], lane - 0.32, lane + 0.32, color="white", linewidth=0.8)
        end = times["done"].iloc[-1]
        axes.annotate(f" {end:.2f} s", (end, lane), va="center", fontsize=9)
    axes.set_yticks(range(len(traces)), list(traces))
    axes.set(xlabel="seconds", ylim=(len(traces) - 0.5, -0.5))
    axes.margins(x=0.13)
    axes.set_xlim(0, None)
    names = ("waiting for images", "training step")
    figure.legend(axes.containers[:2], names, loc="outside upper center", ncols=2, fontsize=9)
    return figure


def strips(rows: Mapping[str, Sequence[Tensor | None]], titles: Sequence[str]) -> Figure:
    """Rows of images (3, S, S) uint8, one a loader, with a title over each column; None: none."""
    figure, axes = plt.subplots(figsize=(7.2, 1.3 + 0.62 * len(rows)))
    images = [image for row in rows.values() for image in row]
    shape = next(image.shape for image in images if image is not None)
    nothing = torch.tensor(NOTHING, dtype=torch.uint8)[:, None, None].expand(shape)
    images = torch.stack([nothing if image is None else image for image in images])
    show_images(axes, images, len(titles), list(rows))
    places = (np.arange(len(titles)) + 0.5) * (shape[-1] + 2)
    axes.set_xticks(places, titles, fontsize=9, rotation=35, ha="left", rotation_mode="anchor")
    axes.tick_params(labeltop=True, labelbottom=False)
    return figure


def step_bars(steps: Mapping[str, Mapping[str, float]]) -> Figure:
    """Milliseconds a step: a panel a problem, a bar a loop, and how many times as fast it is.

    `steps` are problem → loop → milliseconds; the first loop is the one that others are held
    against.
    """
    figure, panels = plt.subplots(
        len(steps), 1, figsize=(7.2, 0.4 + 1.5 * len(steps)), squeeze=False
    )
    for axes, (title, loops) in zip(panels[:, 0], steps.items(), strict=True):
        times = np.array(list(loops.values()))
        bars = axes.barh(list(loops), times, color=PALETTE[: len(times)], height=0.65)
        texts = [f"{time:,.{0 if time >= 100 else 1 if time >= 10 else 2}f} ms" for time in times]
        for bar, time in enumerate(times[1:], 1):
            texts[bar] += f", {times[0] / time:.1f}×"
        axes.bar_label(bars, texts, padding=4, fontsize=9)
        axes.set_title(title, loc="left")
        axes.invert_yaxis()
        axes.margins(x=0.25)
    panels[-1, 0].set_xlabel("milliseconds a step")
    return figure
