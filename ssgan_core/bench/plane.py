"""Stacked runs in the plane against a loop over runs, by the same program."""

from functools import partial

import pandas as pd

from ssgan_core.bench.timing import race
from ssgan_core.plane.points import draw_many, rings
from ssgan_core.plane.settings import METHODS, Recipe
from ssgan_core.plane.training import train


def step_times(runs: int = 20, steps: int = 40, rounds: int = 3) -> pd.DataFrame:
    """Milliseconds for a step of all runs, as one stack and one by one, by `race`; a row a method.

    A training of a single step is timed too and taken off, so that setting up counts for neither.
    The row "all" is one step of every method.
    """
    data = rings()
    labeled = draw_many(data.classes, 4, runs, seed=0, width=8)

    def stack(recipe: Recipe, steps: int) -> None:
        train(data, labeled, recipe, steps, range(runs))

    def loop(recipe: Recipe, steps: int) -> None:
        for run in range(runs):
            train(data, labeled[run : run + 1], recipe, steps, [run])

    table = {}
    for name, recipe in METHODS.items():
        calls = {
            (way.__name__, count): partial(way, recipe, count)
            for way in (stack, loop)
            for count in (1, 1 + steps)
        }
        best = race(calls, rounds, 1)
        table[name] = {
            f"{way}, ms a step": 1000 * (best[way, 1 + steps] - best[way, 1]) / steps
            for way in ("stack", "loop")
        }
    frame = pd.DataFrame(table).T
    frame.loc["all"] = frame.sum()
    frame["times faster"] = frame["loop, ms a step"] / frame["stack, ms a step"]
    return frame
