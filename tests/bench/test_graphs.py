"""Both ways to take a step, timed in every stage of a training."""

import pytest
import torch

from ssgan_core.bench.graphs import stage_times
from ssgan_core.device import Hardware

CPU = Hardware(torch.device("cpu"), False)


def test_the_benchmark_times_every_stage_of_a_training():
    table = stage_times(128, 8, 4, CPU, rounds=1, steps=1)
    seen = list(zip(table.index, table["side"], table["generated images"], strict=True))
    ours = [("ssgan-contrast", side, looks) for side in (64, 128) for looks in ("yes", "no")]
    other = [("ssgan-minus-gan", side, "no") for side in (64, 128)]
    assert seen == [*ours, *other]
    ratio = table["one by one (ms)"] / table["from a graph (ms)"]
    assert ratio.tolist() == pytest.approx(table["times"].tolist())
