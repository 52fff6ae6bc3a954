"""Two processes under torchrun compute what one process does with the same global batch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import train_in_processes

from ssgan_core.training import photos


def test_two_processes_train_as_one(tmp_path, monkeypatch):
    script, out = Path(train_in_processes.__file__), tmp_path / "two.pt"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node=2", str(script), str(out)]
    environment = os.environ | {"PYTHONPATH": str(script.parents[1]), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr[-3000:]
    two = torch.load(out, weights_only=True)
    assert two["head"].any(), "a generator that grows has layers that the first steps leave out"

    monkeypatch.setattr(photos, "synchronized", train_in_processes.without_batch_norm)
    one = train_in_processes.train_article()
    for term in ("labeled", "real", "fake", "generator", "validation"):
        assert two["history"][term] == pytest.approx(one.history[term].tolist(), rel=1e-4), term
    for mine, theirs in zip(one.learner.classifier.parameters(), two["weights"], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
