"""Two processes under torchrun compute what one process does with the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ssgan import train_in_processes

from ssgan_core.device import Hardware
from ssgan_core.ssgan import step as photos

ALONE = {"variety"}  # of images that process 0 makes with its own batch norm


def test_two_processes_train_as_one(tmp_path, monkeypatch):
    script, out = Path(train_in_processes.__file__), tmp_path / "two.pt"
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node=2", str(script), str(out), str(folder)]
    environment = os.environ | {
        "PYTHONPATH": f"{script.parents[2]}:{script.parents[1]}",
        "OMP_NUM_THREADS": "1",
    }
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stderr[-3000:]
    two = torch.load(out, weights_only=True)
    assert two["head"].any(), "a generator that grows has layers that the first steps leave out"

    record = json.loads((folder / "metrics.json").read_text())
    assert record["processes"] == 2 and record["values"]["article"]["looks"]

    assert two["evaluations"] == 2, "where clocks differ, that of process 0 counts"

    monkeypatch.setattr(Hardware, "detect", lambda: train_in_processes.FP32)
    monkeypatch.setattr(photos, "synchronized", train_in_processes.without_batch_norm)
    for name, train in train_in_processes.PARITY.items():
        one = train_in_processes.plain(train())
        for term, values in one["history"].items():
            if term not in ALONE:
                assert two[name]["history"][term] == pytest.approx(values, rel=1e-4), (name, term)
        for mine, theirs in zip(one["weights"], two[name]["weights"], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
