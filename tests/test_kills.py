"""Trainings that are killed, also while they write, end with what an unbroken one ends with."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ssgan_core.pets.collection import draw_pets

SCRIPT = Path(__file__).with_name("kill_trainings.py")
CLOCKS = {"seconds", "minutes", "wall_s", "finished", "resumed", "out"}
COMMANDS = {
    "ssgan_core.train": "--profile smoke --size 32 --width 8 --generator-width 16 --labels 10 "
    "--evaluations 2 --steps 4 --photos {pets}",
    "ssgan_core.train_digits": "--labels 10 --draws 1 --steps 10",
}


def timeless(value):
    """Nested values without what clocks and folders say."""
    if isinstance(value, list):
        return [timeless(item) for item in value]
    if isinstance(value, dict):
        return {name: timeless(item) for name, item in value.items() if name not in CLOCKS}
    return value


def left_by(folder: Path) -> dict:
    """What a command has left: JSON without times, tensors as bytes, images as they are."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".json":
            found[name] = timeless(json.loads(path.read_text("utf-8")))
        elif path.suffix == ".pt":
            weights = torch.load(path, weights_only=True)["weights"]
            found[name] = {key: value.numpy().tobytes() for key, value in weights.items()}
        else:
            found[name] = path.read_bytes()
    return found


def check(command: str, kills: int, folder: Path) -> None:
    options = COMMANDS[command]
    if "{pets}" in options:
        options = options.format(pets=draw_pets(folder / "pets", 80, 32, workers=1))
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), str(kills), str(folder), command, *options.split()],
        cwd=SCRIPT.parents[1],
        env={"PYTHONPATH": str(SCRIPT.parents[1])},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert [int(word) for word in ran.stdout.split()] == [(kills + 1) // 2, kills // 2]
    whole = left_by(folder / "whole")
    assert {"metrics.json", "history.json"} <= whole.keys()
    again = sorted(folder.glob("killed-*/"))
    assert again
    for other in again:
        assert left_by(other) == whole, other


def test_a_training_that_is_killed_at_random_ends_as_an_unbroken_one(tmp_path):
    check("ssgan_core.train", 4, tmp_path)


@pytest.mark.scale
@pytest.mark.parametrize("command", COMMANDS)
def test_fifty_kills(command, tmp_path):
    check(command, 50, tmp_path)
