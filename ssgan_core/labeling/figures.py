"""Figures of what chosen photos are worth as labels."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from ssgan_core.plots import PALETTE, in_percent


def plot_budget(runs: pd.DataFrame) -> Figure:
    """Mean test accuracy against the number of labels, a line a method; bars are one standard
    deviation over sets."""
    figure, axes = plt.subplots(figsize=(7.2, 3.4))
    for place, (name, own) in enumerate(runs.groupby("method", sort=False)):
        found = own.groupby("labels")["last"].agg(["mean", "std"]).fillna(0)
        found.index = found.index * 1.03 ** (place - 1.5)  # so that no bar hides another
        axes.errorbar(found.index, found["mean"], found["std"], marker="o", capsize=3,
                      color=PALETTE[place], label=name)  # fmt: skip
    numbers = sorted(set(runs["labels"]))
    axes.set(xscale="log", xlabel="labels", ylabel="test accuracy")
    axes.set_xticks(numbers, numbers)
    axes.minorticks_off()
    in_percent(axes.yaxis)
    axes.legend(fontsize=9)
    return figure
