"""Our step computes what the plain loop computes: the benchmark compares equals."""

import pytest
import torch

from ssgan_core.bench.step import KEPT, Setting, losses_of_both, side_by_side, speeds
from ssgan_core.device import Hardware

CPU = Hardware(torch.device("cpu"), False)


def test_ours_follows_the_losses_of_the_reference():
    table = losses_of_both(32, 8, 12, 8, steps=4)
    assert len(table) == 16 and table["plain"].std() > 0
    assert table["ours"].tolist() == pytest.approx(table["plain"].tolist(), rel=1e-2)


def test_the_table_has_both_and_their_ratio():
    table = speeds(Setting(32, 8, 4, 4, CPU), rounds=1, steps=1)
    assert table.index.tolist() == ["reference", KEPT, "ours"]
    ratio = table.loc["ours", "steps/s"] / table.loc["reference", "steps/s"]
    assert table.loc["ours", "times reference"] == pytest.approx(ratio)
    assert table.loc["ours", "images/s"] == pytest.approx(8 * table.loc["ours", "steps/s"])


def test_trainings_at_once_have_a_process_each_and_their_images_are_added_up():
    setting = Setting(32, 8, 2, 3, CPU)
    table = side_by_side(setting, [1, 2], rounds=1, steps=2)
    assert list(table.index) == [1, 2] and table["times the first"].iloc[0] == 1
    assert table["images/s"].tolist() == pytest.approx((5 * table["steps/s"]).tolist())
    assert (table["memory of one (GB)"] > 0.05).all()
