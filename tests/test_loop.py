"""The loop stops when it is asked to, saves, and says by which signal."""

import os
import signal

import pytest
import torch

from ssgan_core import loop
from ssgan_core.checkpoint import load_checkpoint, save_checkpoint
from ssgan_core.errors import InputError

NAME = {"name": "tiny"}


def run(path, step=lambda number: None, evaluate=lambda number: None, lines=None, parts=None):
    def one(number, progress):
        step(number)
        return {"loss": torch.tensor(float(number))}

    def judge(number, progress):
        evaluate(number)
        return {}

    report = lines.append if lines is not None else print
    return loop.run(
        parts or {}, one, judge, NAME, steps=4, evaluations=2, checkpoint=path, report=report
    )


def kill(name):
    os.kill(os.getpid(), signal.Signals[name])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_saves_and_is_named(name, tmp_path):
    path, lines = tmp_path / "a.pt", []
    with pytest.raises(KeyboardInterrupt, match=f"^{name}$"):
        run(path, lambda number: number or kill(name), lines=lines)
    assert load_checkpoint(path)["loop"]["step"] == 1
    assert lines[-1].startswith("tiny: stopped, saved in")
    assert run(path, lines=lines)["loss"].tolist() == [0.5, 2.5]
    assert "tiny: goes on from step 1" in lines


def test_a_second_signal_stops_at_once(tmp_path):
    def twice(number):
        kill("SIGTERM")
        kill("SIGHUP")

    with pytest.raises(KeyboardInterrupt, match=r"^SIGHUP$"):
        run(tmp_path / "a.pt", twice)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_during_the_last_evaluation_is_not_lost(tmp_path):
    path, lines = tmp_path / "a.pt", []
    with pytest.raises(KeyboardInterrupt, match=r"^SIGTERM$"):
        run(path, evaluate=lambda number: kill("SIGTERM") if number == 4 else None, lines=lines)
    assert lines[-1].startswith("tiny: stopped, saved in")
    assert len(run(path)) == 2


def test_a_hangup_that_is_ignored_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert len(run(None, lambda number: kill("SIGHUP"))) == 2
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("minutes", [1e300, 1e308])
def test_a_training_may_have_all_the_time_there_is(minutes):
    lines = []

    def step(number, progress):
        return {"loss": torch.zeros(())} if number < 3 else kill("SIGTERM") or {}

    with pytest.raises(KeyboardInterrupt):
        loop.run({}, step, lambda *_: {}, NAME, max_minutes=minutes, report=lines.append)
    assert lines[-2].startswith("tiny: step 4, 0 s") and "stopped" in lines[-1]


def test_a_checkpoint_of_other_code_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    run(path)
    save_checkpoint(path, {"identity": load_checkpoint(path)["identity"], "loop": {"step": 1}})
    with pytest.raises(InputError, match=r"a\.pt was written by another version"):
        run(path, parts={"came since": loop.Kept()})
