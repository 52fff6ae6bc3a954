"""Stacked runs against a loop over runs: `python -m ssgan_core.bench.plane`."""

import argparse
import time
from collections.abc import Sequence

import pandas as pd
import torch

from ssgan_core.plane.points import draw_many, rings
from ssgan_core.plane.settings import METHODS, Recipe
from ssgan_core.plane.training import Trained, train


def benchmark(runs: int = 20, steps: int = 40, rounds: int = 3) -> pd.DataFrame:
    """Milliseconds for a step of all runs, one stack against one by one, by the same program.

    The best of `rounds` is taken for both, in turn, so that other load on the machine does not
    favor one. `difference` is the largest gap between the accuracies of the two; the row "all" is
    one step of every method.
    """
    data = rings()
    labeled = draw_many(data.classes, 4, runs, seed=0, width=8)

    def timed(rows: torch.Tensor, seeds: Sequence[int], recipe: Recipe) -> tuple[float, Trained]:
        """Seconds between the first and the last step; setting up counts for neither."""
        trained = train(data, rows, recipe, steps + 1, seeds, _clock, every=steps)
        return trained.snapshots[-1] - trained.snapshots[0], trained

    table = {}
    for name, recipe in METHODS.items():
        stacked, looped = [], []
        for _ in range(rounds):
            seconds, together = timed(labeled, range(runs), recipe)
            stacked.append(seconds)
            alone = [timed(labeled[r : r + 1], [r], recipe) for r in range(runs)]
            looped.append(sum(seconds for seconds, _ in alone))
        accuracy = torch.cat([trained.accuracy for _, trained in alone])
        table[name] = {
            "stack, ms a step": 1000 * min(stacked) / steps,
            "loop, ms a step": 1000 * min(looped) / steps,
            "difference": float((together.accuracy - accuracy).abs().max()),
        }
    frame = pd.DataFrame(table).T
    frame.loc["all"] = frame.sum()
    frame.loc["all", "difference"] = frame["difference"].max()
    frame.insert(2, "times faster", frame["loop, ms a step"] / frame["stack, ms a step"])
    return frame


def _clock(step: int, classifier: torch.nn.Module, generated: torch.Tensor | None) -> float:
    return time.perf_counter()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=40)
    chosen = parser.parse_args()
    print(f"{chosen.runs} runs, {chosen.steps} steps, {torch.get_num_threads()} threads")
    print(benchmark(chosen.runs, chosen.steps).round(2).to_string())
