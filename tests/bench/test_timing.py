"""What a step has to compute and to move, counted against what can be worked out by hand."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ssgan_core.bench import timing
from ssgan_core.bench.step import random_batches
from ssgan_core.bench.timing import Work, race, roofline
from ssgan_core.device import Hardware
from ssgan_core.ssgan.recipes import ARTICLE
from ssgan_core.ssgan.step import Stage, make_learner, ssgan_step

CPU = Hardware(torch.device("cpu"), False)


def test_a_product_counts_two_operations_a_pair_and_each_number_once():
    with Work() as work:
        torch.ones(3, 5) @ torch.ones(5, 7)
    assert work.operations == 2 * 3 * 5 * 7
    assert work.bytes == 4 * (3 * 5 + 5 * 7 + 3 * 7)


def test_what_can_be_done_on_the_way_counts_nothing():
    with Work() as work:
        torch.relu(torch.ones(3, 5) + 1).sum()
    assert work.operations == work.bytes == 0


def test_adam_reads_four_numbers_a_weight_and_writes_three():
    layer = nn.Linear(6, 4, bias=False)
    optimizer = torch.optim.Adam(layer.parameters(), fused=True)
    layer(torch.ones(2, 6)).sum().backward()
    with Work() as work:
        optimizer.step()
    assert (work.operations, work.bytes) == (0, 7 * 4 * 24)


def test_backward_passes_are_counted_as_by_pytorch_itself():
    learner = make_learner(ARTICLE, 32, 8, 16, 2, CPU)
    batches = random_batches(32, 4, 4)
    ssgan_step(learner, Stage(), *batches)
    with FlopCounterMode(display=False) as theirs:
        ssgan_step(learner, Stage(), *batches)
    with Work() as ours:
        ssgan_step(learner, Stage(), *batches)
    assert ours.operations == theirs.get_total_flops() > 1e6


def test_the_roofline_is_amounts_at_the_rates_of_the_machine(monkeypatch):
    monkeypatch.setattr(timing, "product_rate", lambda hardware: 1e9)
    monkeypatch.setattr(timing, "copy_rate", lambda device: 2e9)
    table = roofline(lambda: torch.ones(100, 100) @ torch.ones(100, 100), 0.004, CPU)
    assert table.loc["arithmetic", "ms a step"] == pytest.approx(2)
    assert table.loc["bytes", "ms a step"] == pytest.approx(1e3 * 120_000 / 2e9)
    assert table.loc["arithmetic", "share of ours"] == pytest.approx(0.5)


def test_rates_are_those_of_one_product_and_one_copy(monkeypatch):
    monkeypatch.setattr(timing, "SIDE", {"cpu": 8})
    monkeypatch.setattr(timing, "COPIED", 1000)
    monkeypatch.setattr(timing, "race", lambda calls, **how: dict.fromkeys(calls, 0.5))
    assert timing.product_rate(CPU) == 2 * 8**3 / 0.5
    assert timing.copy_rate(CPU.device) == 2 * 4000 / 0.5


def test_a_race_keeps_the_best_round_of_each(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    takes = {"steady": iter([9, 2, 2]), "disturbed": iter([9, 3, 8])}  # the first is not timed

    def caller(name):
        return lambda: clock.__setitem__(0, clock[0] + next(takes[name]))

    assert race({name: caller(name) for name in takes}, 2, 1) == {"steady": 2, "disturbed": 3}
