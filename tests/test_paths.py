"""Files and folders in the making: whole or not there, and nothing of a killed process stays."""

import os
import platform
import subprocess
from pathlib import Path

import pytest

from ssgan_core.errors import InputError
from ssgan_core.paths import (
    beside,
    output_file,
    output_path,
    project_root,
    resolve_path,
    whole_file,
)


def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    dead, host = ended(), platform.node()
    left = [tmp_path / f".a.json.{host}.{number}" for number in (dead, 10**30)]
    left[0].write_text("half")
    left[1].mkdir()
    (left[1] / "deep").write_text("half")
    kept = [f".a.json.{host}.{os.getppid()}", f".a.json.elsewhere.{dead}", f".a.json.{host}.txt",
            f".b.json.{host}.{dead}", "a.json"]  # fmt: skip
    for name in kept:
        (tmp_path / name).write_text("kept")
    with beside(tmp_path / "a.json") as partial:
        assert not partial.exists()
        partial.mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_file_to_write_ends_as_its_kind_does_and_lies_in_a_folder(tmp_path):
    assert output_file(tmp_path / "a.PNG", ".png") == tmp_path / "a.PNG"
    with pytest.raises(InputError, match=r"a\.csv cannot be written: .*'\.csv'; accepted: \.png"):
        output_file(tmp_path / "a.csv", ".png")
    with pytest.raises(InputError, match=r"b/a\.png cannot be written: there is no folder .*b"):
        output_file(tmp_path / "b/a.png", ".png")


def test_a_write_that_fails_names_the_file_and_what_is_kept(tmp_path):
    path = tmp_path / "a.json"

    def full() -> None:
        with whole_file(path) as partial:
            partial.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="no space left on the disk") as error:
        full()
    assert (error.value.errno, error.value.filename) == (28, str(path))
    assert error.value.strerror == "no space left on the disk"
    path.write_text("whole")
    with pytest.raises(OSError, match="no space left on the disk; the file from before is kept"):
        full()
    assert path.read_text() == "whole" and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_said(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="No such file") as error,
        whole_file(tmp_path / "none" / "a.json") as partial,
    ):
        Path(partial).write_text("")
    assert error.value.filename == str(tmp_path / "none" / "a.json")


def test_what_is_written_begins_in_the_current_folder(tmp_path, monkeypatch):
    """What is read may lie in the project's root, as a notebook's folder is another."""
    monkeypatch.chdir(tmp_path)
    assert output_path("runs/a") == tmp_path / "runs/a"
    assert resolve_path("runs/a") == project_root() / "runs/a"
    (tmp_path / "runs").mkdir()
    assert resolve_path("runs") == tmp_path / "runs"
    with pytest.raises(InputError, match="a path is empty"):
        output_path(" ")
