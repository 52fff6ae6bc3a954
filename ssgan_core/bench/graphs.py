"""A training step on a GPU, started operation by operation and replayed from a CUDA graph."""

from functools import partial

import pandas as pd

from ssgan_core.bench.step import random_batches
from ssgan_core.bench.timing import race
from ssgan_core.device import Hardware, captured
from ssgan_core.ssgan.recipes import find_recipe
from ssgan_core.ssgan.step import Learner, Stage, make_learner, schedule, ssgan_step

RECIPES = ("ssgan-contrast", "ssgan-minus-gan")
LABELED = 32


def stages(learner: Learner) -> list[Stage]:
    """The stages of its training, each once, in their order."""
    every = range(learner.recipe.gan_every)
    found = (schedule(learner, progress, number) for progress in (0.0, 1.0) for number in every)
    return list(dict.fromkeys(found))


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
        step = partial(ssgan_step, learner)
        steps_of = {"one by one": step, "from a graph": captured(step, hardware.device)}
        for stage in stages(learner):
            ways = {way: partial(take, stage, *batch) for way, take in steps_of.items()}
            seconds = race(ways, rounds, steps)
            rows.append(
                {"recipe": name, "side": size // stage.reduction}
                | {"generated images": "yes" if stage.generates else "no"}
                | {f"{way} (ms)": 1000 * value for way, value in seconds.items()}
                | {"times": seconds["one by one"] / seconds["from a graph"]}
            )
    return pd.DataFrame(rows).set_index("recipe")
