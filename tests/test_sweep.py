"""Sweeps: every combination once, failures told and apart, a killed worker's run made elsewhere."""

from pathlib import Path

import pandas as pd
import pytest

from ssgan_core import sweep as module
from ssgan_core.errors import InputError
from ssgan_core.pets.collection import draw_pets
from ssgan_core.photos.files import scan
from ssgan_core.photos.labels import draw_labeled
from ssgan_core.photos.splits import split_photos
from ssgan_core.sweep import Task, cluster, main, sweep, tasks_of

DIES_ONCE = """
import os, pathlib, signal, sys
out = pathlib.Path(sys.argv[1])
if not (out / "begun").exists():
    (out / "begun").touch()
    os.kill(os.getpid(), signal.SIGKILL)
print("at last")
(out / "made").touch()
"""
FAILS = "print('a word before'); raise SystemExit(3)"


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    return draw_pets(tmp_path_factory.mktemp("data") / "pets", 80, 32, workers=1)


def test_there_is_a_task_for_every_combination(tmp_path):
    swept = {"recipe": ["ssgan", "article"], "labeled_set": ["a/x.csv", "b/y.csv"], "seed": ["7"]}
    tasks = tasks_of(tmp_path, swept, ["--size", "64"])
    names = [task.folder.name for task in tasks]
    assert names == ["ssgan-x-7", "ssgan-y-7", "article-x-7", "article-y-7"]
    options = [
        "--recipe",
        "ssgan",
        "--labeled-set",
        "b/y.csv",
        "--seed",
        "7",
        "--size",
        "64",
        "--out",
    ]
    assert tasks[1].command == ["ssgan_core.train", *options, str(tmp_path / "ssgan-y-7")]
    with pytest.raises(InputError, match="two runs would be x"):
        tasks_of(tmp_path, {"labeled_set": ["a/x.csv", "b/x.csv"]}, [])


def test_a_chapter_is_rerun_with_parameters(tmp_path):
    common = ["--profile", "smoke", "--generator-width", "16"]
    (task,) = tasks_of(tmp_path, {"chapter": ["08"], "seed": ["3"]}, common)
    module_name, notebook, partial, *rest = task.command
    assert module_name == "papermill" and Path(notebook).name.startswith("08_")
    assert Path(notebook).exists()
    assert rest[:9] == ["-p", "seed", "3", "-p", "profile", "smoke", "-p", "generator_width", "16"]
    assert Path(partial) == task.partial != task.made
    for chapter, words in (("0", "fits [0-9]+ chapters"), ("77", "fits 0 chapters")):
        with pytest.raises(InputError, match=words):
            tasks_of(tmp_path, {"chapter": [chapter]}, [])
    with pytest.raises(InputError, match="pairs, --parameter value"):
        tasks_of(tmp_path, {"chapter": ["08"]}, ["--size"])


def test_a_killed_workers_run_is_made_by_another_and_a_failure_keeps_none(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "dies_once.py").write_text(DIES_ONCE)
    (tmp_path / "fails.py").write_text(FAILS)
    monkeypatch.syspath_prepend(tmp_path)  # which the workers inherit
    folders = {name: tmp_path / name for name in ("first", "second")}
    tasks = [
        Task(folders["first"], ["dies_once", str(folders["first"])], folders["first"] / "made"),
        Task(folders["second"], ["fails"], folders["second"] / "made"),
    ]
    with cluster(None, 1) as client:
        failed = sweep(tasks, client)
    assert (folders["first"] / "made").exists()
    assert (folders["first"] / "run.log").read_text() == "at last\n"
    assert list(failed) == [folders["second"]]
    assert "status 3: a word before" in failed[folders["second"]]
    assert "second/run.log" in capsys.readouterr().out


def test_sweeps_side_by_side_have_pages_of_their_own(recwarn):
    with cluster(None, 1) as first, cluster(None, 1) as second:
        assert first.dashboard_link != second.dashboard_link
    assert not [seen for seen in recwarn if "Port" in str(seen.message)]


def test_a_sweep_end_to_end_makes_what_is_missing_and_compares_all(
    pets, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    photos = split_photos(scan(pets))
    sets = []
    for seed in (0, 1):
        sets.append(str(tmp_path / f"set{seed}.csv"))
        draw_labeled(photos, 10, seed).write(sets[-1])
    (tmp_path / "broken.csv").write_text("path,label\nnone.jpg,cat\n")
    out = tmp_path / "runs"
    tiny = f"--profile smoke --size 32 --width 8 --steps 2 --recipe supervised --photos {pets}"
    options = ["runs", *tiny.split(), "--jobs", "2", "--labeled-set", *sets]
    assert main([*options, str(tmp_path / "broken.csv")]) == 1
    said = capsys.readouterr()
    assert "3 runs" in said.out and "supervised-broken: status 2" in said.err
    assert "'none.jpg' is not among the photos" in said.err
    runs = pd.read_csv(out / "runs.csv")
    assert sorted(runs["labeled_set"].str[:5]) == ["set0 ", "set1 "]
    assert (out / "comparison.png").exists()
    made = {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}
    assert len(made) == 2
    assert main(options) == 0
    assert " runs; http" not in capsys.readouterr().out
    assert made == {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}


def test_a_scheduler_that_is_not_there_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "WAIT", 1)
    assert main([str(tmp_path), "--scheduler", "tcp://127.0.0.1:9", "--seed", "0"]) == 2
    assert "no scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
    assert main([str(tmp_path), "--jobs", "0"]) == 2
    assert "--jobs is 0; accepted: 1 and more" in capsys.readouterr().err
