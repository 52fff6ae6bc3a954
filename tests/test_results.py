"""Run folders and provenance."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from ssgan_core import results
from ssgan_core.device import Hardware
from ssgan_core.errors import InputError
from ssgan_core.results import Run, claim, provenance, write_json
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


def test_a_checkpoint_in_the_making_is_none(tmp_path):
    run = Run.open("chapter", Settings.resolve(), DATA, root=tmp_path)
    run.checkpoint(".a.pt.host.1").write_bytes(b"half")
    assert not Run.open("chapter", Settings.resolve(), DATA, root=tmp_path).resumed


class Places(Settings):
    labeled_set: str | None = None
    steps: int = 1


def test_labels_are_part_of_a_run_and_places_are_not(tmp_path):
    def folder(labels, **settings):
        data = DATA | {"labels_checksum": labels}
        return Run.open("chapter", Places.resolve(**settings), data, root=tmp_path).folder

    assert folder("a", labeled_set="my.csv") == folder("a", labeled_set="/here/my.csv")
    assert folder("a", labeled_set="our own.csv").name.startswith("quick-our own-")
    assert folder("a", labeled_set="my.csv") != folder("b", labeled_set="my.csv")
    assert folder("a") != folder("a", steps=2)


@contextlib.contextmanager
def another_process(folder):
    """The number of a process that is at work in a folder."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _held = claim(folder)
        os.write(writer, b"!")
        time.sleep(600)
    assert os.read(reader, 1)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_second_process_is_kept_out_until_the_first_has_ended(tmp_path):
    folder = tmp_path / "run"
    with another_process(folder) as child:
        words = rf"process {child} on \S+ is at work in {folder}; wait for its end, or end it"
        with pytest.raises(InputError, match=words):
            Run.open("chapter", Settings.resolve(), DATA, folder=folder)
    run = Run.open("chapter", Settings.resolve(), DATA, folder=folder)
    run.finish({})
    assert [path.name for path in folder.iterdir()] == ["metrics.json"]
    with another_process(folder):
        pass


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"the folder .*file/run cannot be written: Not a dir"):
        Run.open("chapter", Settings.resolve(), DATA, folder=tmp_path / "file" / "run")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match="cannot be written: no space left on the disk"):
        Run.open("chapter", Settings.resolve(), DATA, folder=tmp_path / "run")


def test_a_named_folder_holds_one_run(tmp_path):
    def opened(chapter="one", data=DATA, **settings):
        return Run.open(chapter, Places.resolve(**settings), data, folder=tmp_path)

    assert opened().recorded is None
    finished = opened().finish({"a": {"last": [0.5]}, "b": {"last": [0.25]}})["finished"]
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    told = f"already done, finished {finished}: test accuracy a 50.0 %, b 25.0 %; "
    for again in (opened(), opened(labeled_set="elsewhere")):
        assert again.recorded == f"{told}{tmp_path}/metrics.json"
    for change, words in (
        ({"chapter": "two"}, "chapter 'one', not chapter 'two'"),
        ({"steps": 2, "seed": 1}, "seed 0, steps 1, not seed 1, steps 2"),
        ({"data": DATA | {"checksum": "xyz"}}, "checksum 'abc', not checksum 'xyz'"),
        ({"data": DATA | {"labels_checksum": "l"}}, "labels_checksum None, not labels_checksum"),
    ):
        with pytest.raises(InputError) as error:
            opened(**change)
        assert f"{tmp_path} holds another run, finished {finished} ({words}" in str(error.value)
        assert str(error.value).endswith("give another --out, or remove the folder")
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}
    assert before == after


@pytest.mark.parametrize("text", ["", "[]", '{"chapter": 1}', "\xff"])
def test_a_record_that_cannot_be_read_is_not_overwritten(text, tmp_path):
    (tmp_path / "metrics.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"metrics\.json cannot be read as a record .*; give"):
        Run.open("chapter", Settings.resolve(), DATA, folder=tmp_path)


def test_names_that_are_no_utf8_are_written_and_read_back(tmp_path):
    content = {"p\udce9": ["\udce9cat.jpg", "\udce9\udcaa", "é"]}
    write_json(tmp_path / "a.json", content)
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == content


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


def test_metrics_tell_processors_that_compute_in_bf16_from_others(monkeypatch):
    named = {}
    for bf16 in (True, False):
        hardware = Hardware(torch.device("cpu"), bf16)
        monkeypatch.setattr(Hardware, "detect", lambda found=hardware: found)
        named[bf16] = provenance()["device"]
    model, threads = named[False].rsplit(", ", 1)
    assert named[True] == f"{model} with bf16, {threads}" and "thread" in threads


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
    with pytest.raises(OSError, match="no space left on the disk; the file from before is kept"):
        write_json(path, {"a": 2})
    monkeypatch.undo()
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError, match="JSON"):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    write_json(path, {"a": [float("nan"), 2.0]})
    assert json.loads(path.read_text()) == {"a": [None, 2.0]}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


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
    (tmp_path / "my.csv").write_text("path,label\n")
    commit = provenance()["git"]
    assert len(commit) == 12 and "+" not in commit
    (tmp_path / "code.py").write_text("a = 2")
    assert provenance()["git"] == f"{commit}+changes"
