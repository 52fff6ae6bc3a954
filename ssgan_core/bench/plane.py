"""Stacked runs in the plane against a loop over runs, by the same program."""

import time
from collections.abc import Sequence

import pandas as pd
from torch import Tensor

from ssgan_core.plane.points import draw_many, rings
from ssgan_core.plane.settings import METHODS, Recipe
from ssgan_core.plane.training import train


def step_times(runs: int = 20, steps: int = 40, rounds: int = 3) -> pd.DataFrame:
    """Milliseconds for a step of all runs, as one stack and one by one; a row a method.

    The best of `rounds` counts, both in turn. The row "all" is one step of every method.
    """
    data = rings()
    labeled = draw_many(data.classes, 4, runs, seed=0, width=8)

    # No `race`: setting up takes as long as these steps, so that the clock is read within a
    # training, after its first step and after its last.
    def seconds(recipe: Recipe, rows: Tensor, seeds: Sequence[int]) -> float:
        clock = train(
            data, rows, recipe, steps + 1, seeds, lambda *_: time.perf_counter(), every=steps
        ).snapshots
        return clock[-1] - clock[0]

    table = {}
    for name, recipe in METHODS.items():
        stack, loop = [], []
        for _ in range(rounds):
            stack.append(seconds(recipe, labeled, range(runs)))
            loop.append(sum(seconds(recipe, labeled[run : run + 1], [run]) for run in range(runs)))
        table[name] = {
            "stack, ms a step": 1000 * min(stack) / steps,
            "loop, ms a step": 1000 * min(loop) / steps,
        }
    frame = pd.DataFrame(table).T
    frame.loc["all"] = frame.sum()
    frame["times faster"] = frame["loop, ms a step"] / frame["stack, ms a step"]
    return frame
