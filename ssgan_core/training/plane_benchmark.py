"""Stacked runs against a loop over runs: `python -m ssgan_core.training.plane_benchmark`."""

import argparse
import time

import pandas as pd
import torch

from ssgan_core.data.rings import draw_many, rings
from ssgan_core.training.plane import train
from ssgan_core.training.plane_recipes import METHODS


def benchmark(runs: int = 20, steps: int = 60, rounds: int = 3) -> pd.DataFrame:
    """Milliseconds for a step of all runs, one stack against one by one, by the same program.

    The best of `rounds` is taken for both, in turn, so that other load on the machine does not
    favor one. `difference` is the largest gap between the accuracies of the two.
    """
    data = rings()
    labeled = draw_many(data.classes, 4, runs, seed=0, width=8)
    table = {}
    for name, recipe in METHODS.items():
        train(data, labeled[:1], recipe, 2, [0])  # warm up
        stacked, looped = [], []
        for _ in range(rounds):
            start = time.perf_counter()
            together = train(data, labeled, recipe, steps, range(runs)).accuracy
            stacked.append(time.perf_counter() - start)
            start = time.perf_counter()
            alone = torch.cat(
                [train(data, labeled[r : r + 1], recipe, steps, [r]).accuracy for r in range(runs)]
            )
            looped.append(time.perf_counter() - start)
        table[name] = {
            "stack, ms a step": 1000 * min(stacked) / steps,
            "loop, ms a step": 1000 * min(looped) / steps,
            "times faster": min(looped) / min(stacked),
            "difference": float((together - alone).abs().max()),
        }
    return pd.DataFrame(table).T


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60)
    chosen = parser.parse_args()
    print(f"{chosen.runs} runs, {chosen.steps} steps, {torch.get_num_threads()} threads")
    print(benchmark(chosen.runs, chosen.steps).round(2).to_string())
