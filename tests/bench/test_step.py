"""Our step computes what the plain loop computes: the benchmark compares equals.

At a twentieth of the article's rate: Adam's first steps have the gradient's sign, not its size, so
that rounding alone drives two trainings apart, in proportion to the rate.
"""

from dataclasses import replace

import pytest
import torch

from ssgan_core.bench.step import KEPT, Reference, Setting, random_batches, speeds
from ssgan_core.device import Hardware
from ssgan_core.ssgan.recipes import ARTICLE
from ssgan_core.ssgan.step import Stage, make_learner, ssgan_step

CPU = Hardware(torch.device("cpu"), False)


@pytest.fixture
def both():
    torch.manual_seed(0)
    learner = make_learner(replace(ARTICLE, learning_rate=1e-4), 32, 8, 32, 2, CPU)
    return Reference(learner), learner


def test_ours_follows_the_losses_of_the_reference(both):
    reference, learner = both
    batches = random_batches(32, 12, 8)
    for step in range(4):
        torch.manual_seed(step)
        plain = reference.step(*batches)
        torch.manual_seed(step)
        ours = ssgan_step(learner, Stage(), *batches)
        for term, value in plain.items():
            assert ours[term].item() == pytest.approx(value, rel=1e-2), (step, term)


def test_the_table_has_both_and_their_ratio():
    table = speeds(Setting(32, 8, 4, 4, CPU), rounds=1, steps=1)
    assert table.index.tolist() == ["reference", KEPT, "ours"]
    ratio = table.loc["ours", "steps/s"] / table.loc["reference", "steps/s"]
    assert table.loc["ours", "times reference"] == pytest.approx(ratio)
    assert table.loc["ours", "images/s"] == pytest.approx(8 * table.loc["ours", "steps/s"])
