"""Figures of the chapters on photographs."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ssgan_core import plots
from ssgan_core.interactive.figure import Interactive, interactive
from ssgan_core.ssgan.analysis import calibration_error, honest_calibration_error, reliability
from ssgan_core.ssgan.fit import Fit

NOT_TERMS = ("step", "epoch", "seconds", "validation", "variety", "D(real)", "D(fake)")


def labeled_grid(images: Tensor, labels: np.ndarray, classes: Sequence[str], each: int) -> Figure:
    """The first images of each class, a panel a class: images (N, 3, S, S) uint8."""
    figure, panels = plt.subplots(len(classes), 1, figsize=(7.2, 1.55 * len(classes)))
    for k, (name, axes) in enumerate(zip(classes, panels, strict=True)):
        plots.show_images(axes, images[np.flatnonzero(labels == k)[: 2 * each]], each)
        axes.set_ylabel(name, color=plots.CLASS_COLORS[k % 2], fontweight="bold")
    return figure


def training_curves(runs: pd.DataFrame, chance: float, names: Sequence[str] = ()) -> Figure:
    """Validation accuracy through training and, where runs tell it, the labeled loss at its left.

    Columns `validation` and `labeled` hold a list a run: thin its line, thick the mean of a
    method's; dotted the accuracy that `chance` gives. Lines are drawn against steps where `steps`
    has how many a method made, else against the share of training. Methods have the colors of
    their places in `names`, and after it.
    """
    colors = dict(zip(dict.fromkeys([*names, *runs["method"]]), cycle(plots.PALETTE), strict=False))
    shown = [name for name in colors if name in set(runs["method"])]
    ends = runs.groupby("method")["steps"].max() if "steps" in runs else dict.fromkeys(shown, 1)
    titles = {"labeled": "labeled loss", "validation": "validation accuracy"}
    terms = [term for term in titles if term in runs]
    along = "step" if "steps" in runs else "share of training"
    figure, panels = plt.subplots(1, len(terms), squeeze=False, figsize=(7.2, 3.3))
    for axes, term in zip(panels[0], terms, strict=True):
        tables = {n: pd.DataFrame(runs[term][runs["method"] == n].tolist()).T for n in shown}
        lines = {n: t.set_axis((t.index + 1) / len(t) * ends[n]) for n, t in tables.items()}
        plots.curves(axes, lines, [colors[name] for name in shown])
        axes.set(title=titles[term], xlabel=along, xlim=(0, None))
    panels[0, 0].set_ylim(0 if "labeled" in terms else None, None)
    axes.axhline(chance, **plots.DOTTED)
    plots.in_percent(axes.yaxis)
    names = axes.get_legend_handles_labels()
    figure.legend(*names, loc="outside upper center", ncols=3, fontsize=9)
    return figure


# What one reports of an evaluation and those before it: name → of a table with a run a column.
RULES = {
    "last": ("the last", lambda curves: curves),
    "best": ("the best so far", lambda curves: curves.cummax()),
    "mean": ("the mean of five", lambda curves: curves.rolling(5, min_periods=1).mean()),
}


def stopping(
    trainings: Mapping[str, pd.DataFrame], published: Mapping[str, float], alt: str
) -> Interactive:
    """When would you have stopped? What each rule reports, by the evaluation that is the last.

    Runs by name, in columns `validation`, `last` and `best` as `results` has them. `published` are
    others' figures, name → accuracy, to hold the first of them against. The still is of those runs.
    """
    series = [
        {
            "name": f"{name} ({len(runs)} training{'s' if len(runs) > 1 else ''})",
            "runs": runs["validation"].tolist(),
            "tested": runs[["last", "best"]].to_dict("list"),
            "published": {} if i else published,
        }
        for i, (name, runs) in enumerate(trainings.items())
    ]
    figure, axes = plt.subplots(figsize=(7.2, 3.2))
    curves = pd.DataFrame(series[0]["runs"]).T
    curves.index += 1
    for style, (name, rule) in zip(("-", "--", "-."), RULES.values(), strict=True):
        line = pd.DataFrame(rule(curves)).mean(axis=1)
        axes.plot(line, style, linewidth=2, label=f"{name}: {line.iloc[-1]:.1%} at the end")
    for name, accuracy in published.items():
        axes.axhline(accuracy, **plots.DOTTED)
        axes.text(1, accuracy, f"{name}: {accuracy:.1%}", va="bottom", fontsize=9)
    axes.set(xlabel="stopped after evaluation", ylabel="reported accuracy")
    plots.in_percent(axes.yaxis)
    axes.legend(loc="lower right", fontsize=9)
    rules = {key: name for key, (name, _) in RULES.items()}
    return interactive("stopping", {"series": series, "rules": rules}, figure, alt)


def adversarial_curves(run: Fit) -> Figure:
    """Loss terms and D on real and generated images through one training of a GAN."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.1))
    history = run.history.set_index("step")
    terms = [term for term in history if term not in NOT_TERMS]
    plots.curves(left, history[terms], plots.PALETTE)
    left.set(title="loss terms", xlabel="step", ylim=(0, None))
    output = history[["D(real)", "D(fake)"]].rename(columns={"D(fake)": "D(generated)"})
    plots.curves(right, output, (plots.CLASS_COLORS[0], plots.GENERATED))
    right.set(title="discriminator's output", xlabel="step", ylim=(0, 1))
    for axes in (left, right):
        axes.legend(fontsize=9)
    return figure


def generated_rounds(run: Fit, each: int = 10, rows: int = 5) -> Figure:
    """The same noise through training: a row for each of some evaluations, first to last."""
    steps = list(run.samples)
    shown = [steps[i] for i in np.unique(np.linspace(0, len(steps) - 1, rows).round().astype(int))]
    images = torch.cat([run.samples[step][:each] for step in shown])
    return plots.image_grid(images, each, [f"step {step}" for step in shown])


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
    confidence, guesses = probabilities.max(1), probabilities.argmax(1)
    figure, panels = plt.subplots(2, 1, figsize=(7.2, 2.8))
    right = guesses == labels
    kinds = (("wrong", "✗", ~right, plots.WRONG), ("right", "✓", right, plots.RIGHT))
    for axes, (name, mark, chosen, color) in zip(panels, kinds, strict=True):
        order = np.flatnonzero(chosen)[np.argsort(-confidence[chosen])][:each]
        captions = [f"{mark} {classes[guesses[i]]} {confidence[i]:.0%}" for i in order]
        plots.image_row(axes, images[order], captions, [color])
        axes.set_ylabel(name)
    return figure


def reliability_diagram(fits: Mapping[str, Sequence[Fit]], labels: np.ndarray) -> Figure:
    """Accuracy against confidence, and the calibration error of each draw, recipe by recipe.

    Left: all draws of a recipe together, points as large as their share of the images; on the
    diagonal confidence is earned. Right: a dot a draw, their mean and its interval; the gray tick
    is what chance alone would give probabilities that are true. The recipes' names are the legend
    of both.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), width_ratios=(1.15, 1))
    said = [(name, run.probabilities) for name, runs in fits.items() for run in runs]
    errors = [{"method": n, "error": calibration_error(p, labels)} for n, p in said]
    plots.dots(right, pd.DataFrame(errors), "error")
    chance = 1 / said[0][1].shape[1]
    left.plot([chance, 1], [chance, 1], **plots.DOTTED)
    names = right.get_yticklabels()
    for row, (color, runs) in enumerate(zip(cycle(plots.PALETTE), fits.values(), strict=False)):
        together = np.concatenate([run.probabilities for run in runs])
        bins = reliability(together, np.tile(labels, len(runs)))
        left.plot(bins["confidence"], bins["accuracy"], color=color, linewidth=1.4)
        left.scatter(bins["confidence"], bins["accuracy"], 6 + 300 * bins["share"], color=color,
                     alpha=0.6, linewidths=0)  # fmt: skip
        honest = np.mean([honest_calibration_error(run.probabilities) for run in runs])
        right.plot([honest] * 2, [row - 0.25, row + 0.25], color=plots.UNLABELED, linewidth=1.6)
        names[row].set(color=color, fontweight="bold")
    left.set(xlabel="confidence", ylabel="accuracy", xlim=(chance - 0.02, 1.02))
    right.set(xlabel="calibration error", xlim=(0, None))
    for axis in (left.xaxis, left.yaxis):
        plots.in_percent(axis)
    return figure


def occlusion_rows(
    images: Tensor, maps: Tensor, titles: Sequence[str], colors: Sequence[str]
) -> Figure:
    """Images (N, 3, S, S) uint8 above their occlusion maps (N, S, S), each on its own scale.

    Red places speak for the class of the title, blue ones against it.
    """
    figure, (above, below) = plt.subplots(2, 1, figsize=(7.6, 2.4))
    plots.image_row(above, images, titles, colors)
    falls = maps / maps.abs().amax((1, 2), keepdim=True).clamp(min=1e-9)
    heat = torch.from_numpy(plt.colormaps["RdBu_r"](0.5 + 0.5 * falls.numpy())[..., :3])
    gray = images.float().mean(1, keepdim=True) / 255
    mixed = 0.75 * heat.permute(0, 3, 1, 2) + 0.125 * gray + 0.125
    plots.image_row(below, (255 * mixed).byte())
    return figure
