"""Run folders, provenance and intervals."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ssgan_core import results
from ssgan_core.results import (
    Run,
    format_ci,
    gain,
    mean_ci,
    provenance,
    wilson_ci,
    write_json,
)
from ssgan_core.settings import Settings

DATA = {"name": "made up", "checksum": "abc"}


def test_the_same_settings_and_data_share_a_folder(tmp_path):
    first = Run.open("chapter", Settings.resolve(seed=1), DATA, root=tmp_path)
    again = Run.open("chapter", Settings.resolve(seed=1), DATA, root=tmp_path)
    other = Run.open("chapter", Settings.resolve(seed=2), DATA, root=tmp_path)
    other_data = Run.open("chapter", Settings.resolve(seed=1), DATA | {"checksum": "d"}, tmp_path)
    assert first.folder == again.folder
    assert len({first.folder, other.folder, other_data.folder}) == 3


def test_a_killed_run_finds_its_checkpoint_and_a_finished_one_leaves_none(tmp_path):
    run = Run.open("chapter", Settings.resolve(), DATA, root=tmp_path)
    assert not run.resumed
    run.checkpoint("a.pt").write_bytes(b"state")
    again = Run.open("chapter", Settings.resolve(), DATA, root=tmp_path)
    assert again.resumed and again.checkpoint("a.pt").read_bytes() == b"state"
    again.finish({"x": 1})
    assert not Run.open("chapter", Settings.resolve(), DATA, root=tmp_path).resumed


def test_metrics_say_what_was_run_on_what(tmp_path):
    run = Run.open("chapter", Settings.resolve(seed=3), DATA, root=tmp_path)
    values = {"accuracy": np.float32(0.5), "all": torch.tensor([1.0, float("nan")]), "n": (1, 2)}
    run.finish(values)
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert metrics["values"] == {"accuracy": 0.5, "all": [1.0, None], "n": [1, 2]}
    assert metrics["settings"]["seed"] == 3 and metrics["data"]["checksum"] == "abc"
    assert metrics["git"] and metrics["device"] and metrics["versions"]["torch"]
    assert metrics.keys() >= {"chapter", "profile", "source", "python", "finished", "wall_s"}
    assert metrics["resumed"] is False


def test_metrics_name_the_code_that_ran_not_what_it_became_meanwhile(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "_git_commit", lambda: "before")
    run = Run.open("chapter", Settings.resolve(), DATA, root=tmp_path)
    monkeypatch.setattr(results, "_git_commit", lambda: "after")
    assert run.finish({})["git"] == "before"


def test_a_write_cut_short_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})

    def full(self, text, **options):
        with open(self, "w") as file:
            file.write(text[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"a": 2})
    monkeypatch.undo()
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_student_interval_of_a_worked_case():
    mean, half = mean_ci([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.3027 * 1 / math.sqrt(3), rel=1e-4)
    assert math.isnan(mean_ci([1.0])[1])


def test_formatted_interval():
    assert format_ci([0.7]) == "70.0 %"
    assert format_ci([0.6, 0.7, 0.8]) == "70.0 ± 24.8 %"


def test_wilson_interval_stays_inside_zero_and_one():
    low, high = wilson_ci(10, 10)
    assert 0.6 < low < 0.8 and high == 1.0


def runs(accuracies, **options):
    return pd.DataFrame({"seed": range(len(accuracies)), "last": accuracies}, **options)


def test_a_paired_gain_is_told_with_its_interval_and_what_it_allows_to_say():
    others = runs([0.70, 0.71, 0.72])
    clear = gain(runs([0.80, 0.82, 0.81]), others)
    assert clear == ("+10.0 ± 2.5 points", "The interval excludes zero.")
    text, verdict = gain(runs([0.80, 0.60, 0.75]), others)
    assert text.startswith("+0.7 ± ") and "contains zero" in verdict
    text, verdict = gain(runs([0.7]), runs([0.8]))
    assert text == "-10.0 points" and "anecdote" in verdict


def test_runs_are_paired_by_seed_not_by_label_or_place():
    mine, others = runs([0.8, 0.9], index=["a", "a"]), runs([0.7, 0.7], index=["b", "b"])
    assert gain(mine, others)[0].startswith("+15.0 ± ")
    mine, others = runs([0.6, 0.9], index=["a", "a"]), runs([0.5, 0.8], index=["b", "b"])
    assert gain(mine, others[::-1])[0] == "+10.0 ± 0.0 points"


@pytest.mark.skipif(not shutil.which("git"), reason="git makes the commits")
def test_the_commit_is_named_and_marked_where_the_code_has_changed(tmp_path, monkeypatch):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(results, "project_root", lambda: tmp_path)
    assert provenance()["git"] == "unknown"
    (tmp_path / "code.py").write_text("a = 1")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    (tmp_path / "book/recorded").mkdir(parents=True)
    (tmp_path / "book/recorded/metrics.json").write_text("{}")
    commit = provenance()["git"]
    assert len(commit) == 12 and "+" not in commit
    (tmp_path / "code.py").write_text("a = 2")
    assert provenance()["git"] == f"{commit}+changes"
