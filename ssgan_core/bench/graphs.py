"""A training step on a GPU, started operation by operation and replayed from a CUDA graph."""

from functools import partial

import pandas as pd

from ssgan_core.bench.step import random_batches
from ssgan_core.bench.timing import race
from ssgan_core.graphs import fast
from ssgan_core.hardware import Hardware
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.ssgan.step import Learner, make_learner, set_schedule, ssgan_step

RECIPES = ("ssgan-contrast", "ssgan-minus-gan")
LABELED = 32


def stages(learner: Learner) -> list[tuple[int, bool]]:
    """(side of the images, whether generated ones are looked at) of each stage of its training."""
    found = []
    for progress in (0.0, 1.0):
        for number in range(learner.recipe.gan_every):
            set_schedule(learner, progress, number)
            stage = (learner.size // learner.reduction, learner.recipe.gan and learner.generates)
            if stage not in found:
                found.append(stage)
    return found


def stage_times(
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
