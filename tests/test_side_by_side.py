"""Trainings in processes of their own: as many as fit, and none that is lost when one is killed."""

import itertools
import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest
import torch
from photo_tables import dark_and_bright

from ssgan_core import side_by_side
from ssgan_core.results import Run
from ssgan_core.side_by_side import CONTEXT, how_many, run_side_by_side
from ssgan_core.ssgan import study
from ssgan_core.ssgan.settings import SSGANSettings

NAMES = ("supervised", "ssgan")


def note(folder, name):
    """What a process here does: one of them fails."""
    (folder / name).write_text(str(torch.get_num_threads()))
    if name == "bad":
        raise ValueError("no")


def wait_long(folder, name):
    from ssgan_core.loop import graceful_stop

    with graceful_stop() as stop:
        (folder / name).touch()
        while not stop:
            time.sleep(0.01)
    (folder / f"{name}-saved").touch()
    raise KeyboardInterrupt


def test_every_task_has_its_process_and_one_that_fails_stops_no_other(tmp_path, capfd):
    said = []
    tasks = {name: (tmp_path, name) for name in ("bad", "one", "two")}
    run_side_by_side(note, tasks, 2, said.append)
    assert sorted(said) == ["bad: ended early, status 1", "one: done", "two: done"]
    assert {path.name for path in tmp_path.iterdir()} == set(tasks)
    assert "ValueError: no" in capfd.readouterr().err


def test_an_interrupt_asks_each_process_once_and_waits_until_it_has_saved(tmp_path):
    def interrupt():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    tasks = {name: (tmp_path, name) for name in ("one", "two", "three")}
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(wait_long, tasks, 2, print)
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "one-saved", "two-saved"}


def test_a_killed_training_goes_on_and_all_end_as_one_after_another(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    torch.set_num_threads(1)
    settings = SSGANSettings.resolve(
        profile="smoke", size=32, width=8, generator_width=16, steps=30, evaluations=10, draws=1
    )
    data = dark_and_bright()
    run = Run.open("t", settings, {"checksum": "0"}, root=tmp_path / "alone")
    alone = study.run_recipes(NAMES, settings, [data], run, print)

    said, killed = [], []
    run = Run.open("t", settings, {"checksum": "0"}, root=tmp_path / "beside")
    first = run.checkpoint("ssgan-0.pt")
    begin = side_by_side.multiprocessing.get_context("spawn").Process.start

    def start(process):
        begin(process)
        if process.name.startswith("ssgan"):
            threading.Thread(target=kill, args=(process,), daemon=True).start()

    def kill(process):
        while process.is_alive() and not first.exists():
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGKILL)
        killed.append(process.pid)

    spawn = side_by_side.multiprocessing.get_context("spawn").Process
    monkeypatch.setattr(spawn, "start", start)
    monkeypatch.setattr(study, "how_many", lambda *given: 2)
    beside = study.run_recipes(NAMES, settings, [data], run, said.append)
    assert killed and "ssgan, draw 1: ended early, status -9" in said
    assert said[0] == "2 trainings, 2 side by side" and "supervised, draw 1: done" in said
    assert any("goes on from step" in line for line in said)
    assert not run.checkpoint("images.pt").exists()
    for name in NAMES:
        one, other = alone[name][0], beside[name][0]
        columns = one.history.columns.drop("seconds")
        assert one.history[columns].equals(other.history[columns])
        assert (one.probabilities == other.probabilities).all()


@pytest.mark.parametrize(
    ("free", "wanted", "held", "told"),
    [(80, 24, 8, 0), (20, 24, 5, 1), (20, 3, 3, 0), (2, 24, 1, 1), (80, 1, 1, 0)],
)
def test_as_many_train_side_by_side_as_the_memory_holds(free, wanted, held, told, monkeypatch):
    tried, said = itertools.count(), []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        empty_cache=lambda: None,
        reset_peak_memory_stats=lambda: None,
        max_memory_reserved=lambda: 4 * 2**30 - CONTEXT,
        mem_get_info=lambda: (free * 2**30, 80 * 2**30),
    )
    monkeypatch.setattr(side_by_side.torch, "cuda", cuda)
    assert how_many(lambda: next(tried), wanted, said.append) == held
    assert next(tried) == (wanted > 1) and len(said) == told
    assert all("each takes 4.0 GB" in line for line in said)


def test_on_a_cpu_they_train_one_after_another(monkeypatch):
    monkeypatch.setattr(side_by_side.torch.cuda, "is_available", lambda: False)
    assert how_many(lambda: pytest.fail("nothing is to be tried"), 24, print) == 1


def test_what_is_tried_out_takes_the_most_memory_of_its_recipe(monkeypatch):
    seen = []
    monkeypatch.setattr(
        study, "fit", lambda recipe, data, **options: seen.append((recipe, options))
    )
    ssgan = study.find_recipe("ssgan")
    assert ssgan.small_first and ssgan.gan_every > 1
    study._try_out([(ssgan, None, {"steps": 9, "seed": seed}) for seed in range(3)])
    ((recipe, options),) = seen
    assert (recipe.small_first, recipe.gan_every) == (0.0, 1)
    assert options["steps"] == 4 and options["checkpoint"] is None
