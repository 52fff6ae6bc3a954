"""A training step on a GPU, started operation by operation and replayed from a CUDA graph.

python -m ssgan_core.bench.graphs --size 128
"""

import argparse
import sys
from functools import partial

import pandas as pd
import torch

from ssgan_core.bench.step import random_batches
from ssgan_core.bench.timing import race
from ssgan_core.command_line import run_command
from ssgan_core.device import Hardware
from ssgan_core.errors import InputError
from ssgan_core.graphs import fast
from ssgan_core.photos.networks import LADDERS
from ssgan_core.results import device_name
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.ssgan.step import Learner, make_learner, set_schedule, ssgan_step

RECIPES = ("ssgan-contrast", "ssgan-minus-gan")
LABELED = 32


def stages(learner: Learner) -> list[tuple[int, bool]]:
    """The stages of its training: side of the images, whether generated ones are looked at."""
    found = []
    for progress in (0.0, 1.0):
        for number in range(learner.recipe.gan_every):
            set_schedule(learner, progress, number)
            stage = (learner.size // learner.reduction, learner.recipe.gan and learner.generates)
            if stage not in found:
                found.append(stage)
    return found


def compare(
    size: int, width: int, unlabeled: int, hardware: Hardware, rounds: int = 3, steps: int = 10
) -> pd.DataFrame:
    """Milliseconds of a step by recipe and stage, both ways, and their ratio.

    Each recipe has 32 labeled and `unlabeled` other images of this side in a step, on the device;
    `race` says how the two ways are timed.
    """
    rows = []
    for name in RECIPES:
        learner = make_learner(find_recipe(name), size, width, 8 * width, 2, hardware)
        batch = [part.to(hardware.device) for part in random_batches(size, LABELED, unlabeled)]
        ways = {
            "one by one": partial(ssgan_step, learner, *batch),
            "from a graph": partial(fast(learner, ssgan_step), *batch),
        }
        for side, generated in stages(learner):
            learner.reduction, learner.generates = size // side, generated
            seconds = race(ways, rounds, steps)
            rows.append(
                {"recipe": name, "side": side, "generated images": "yes" if generated else "no"}
                | {f"{way} (ms)": 1000 * value for way, value in seconds.items()}
                | {"times": seconds["one by one"] / seconds["from a graph"]}
            )
    return pd.DataFrame(rows).set_index("recipe")


def main() -> int:
    """The command: prints the table; needs a CUDA GPU."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, choices=list(LADDERS), default=128)
    parser.add_argument("--width", type=int, default=64, help="classifier's first channels")
    parser.add_argument("--unlabeled", type=int, default=128, help="unlabeled images in a step")
    given = parser.parse_args()

    def call() -> None:
        hardware = Hardware.detect()
        if hardware.device.type != "cuda":
            raise InputError("this machine has no CUDA GPU; only there are steps replayed")
        torch.manual_seed(0)
        print(f"{device_name()}, {'bf16' if hardware.bf16 else 'fp32'}, {given.size} px, "
              f"{LABELED} labeled and {given.unlabeled} unlabeled images a step")  # fmt: skip
        print(compare(given.size, given.width, given.unlabeled, hardware).round(1).to_string())

    return run_command(call)


if __name__ == "__main__":
    sys.exit(main())
