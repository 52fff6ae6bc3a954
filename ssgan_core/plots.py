"""Colors and defaults shared by every figure and table of the book."""

import matplotlib as mpl
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator

CLASS_COLORS = ("#2a6fbb", "#f08a24")  # class 0 (cat, outer ring), class 1 (dog, inner ring)
GENERATED = "#d62f4b"
UNLABELED = "#9aa3ad"
INK = "#22303c"


def in_percent(axis: Axis) -> None:
    """Label shares of 1 in percents, with ticks where these are exact."""
    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")


def use_style() -> None:
    """Set the defaults of figures and tables.

    White ground (readable in dark mode), large type, few lines; no cell of a table is cut short.
    """
    pd.options.display.max_colwidth = None
    mpl.rcParams.update(
        {
            "figure.facecolor": "white",
            "axes.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "figure.figsize": (7.2, 3.6),
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.labelcolor": INK,
            "axes.edgecolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": mpl.cycler(
                color=["#2a6fbb", "#f08a24", "#d62f4b", "#3a9a6b", "#7d5ba6", "#6b7680"]
            ),
            "legend.frameon": False,
            "image.interpolation": "nearest",
        }
    )
