"""Our step computes what the plain loop computes: the benchmark compares equals."""

import pytest
import torch

from ssgan_core.training.hardware import Hardware
from ssgan_core.training.photos import ssgan_step
from ssgan_core.training.photos_benchmark import compare, make_both, random_batches


@pytest.fixture
def both():
    torch.manual_seed(0)
    return make_both(32, 8, 32, Hardware(torch.device("cpu"), False))


def test_ours_follows_the_losses_of_the_reference(both):
    reference, learner = both
    batches = random_batches(32, 12, 8)
    for step in range(4):
        torch.manual_seed(step)
        plain = reference.step(*batches)
        torch.manual_seed(step)
        ours = ssgan_step(learner, *batches)
        for term, value in plain.items():
            # Rounding grows with the steps: Adam's first ones are as large as its rate allows.
            tolerance = 1e-4 if step == 0 else 0.02
            assert ours[term].item() == pytest.approx(value, rel=tolerance), (step, term)


def test_the_table_has_both_and_their_ratio(both):
    table = compare(random_batches(32, 4, 4), both, rounds=1, steps=1)
    ratio = table.loc["ours", "steps/s"] / table.loc["reference", "steps/s"]
    assert table.loc["ours", "times reference"] == pytest.approx(ratio)
