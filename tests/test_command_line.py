"""How every command ends: by a signal, by a reader that leaves, at a full disk, in any encoding."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssgan_core.command_line import run_command, tell
from ssgan_core.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
SAY = "import sys; from ssgan_core.command_line import run_command, tell; sys.exit(run_command({}))"


def fail(error: BaseException):
    def call() -> None:
        raise error

    return call


def wait_for(condition, seconds=120) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_command_in_order(name, status):
    number, ended = signal.Signals[name], []
    before = signal.getsignal(number)

    def call() -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        finally:
            ended.append(name)

    assert run_command(call) == status and ended == [name]
    assert signal.getsignal(number) is before


def test_nohup_is_respected(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_command(lambda: os.kill(os.getpid(), signal.SIGHUP)) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (InputError("x is 1; accepted: 2"), 2, "error: x is 1; accepted: 2\n"),
        (FloatingPointError("not finite"), 1, "error: not finite\n"),
        (OSError(28, "No space left on device"), 1, "error: no space left on the disk\n"),
        (OSError(30, "Read-only file system", "/a/b"), 1, "error: /a/b: Read-only file system\n"),
        (SystemExit(2), 2, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=repr,
)
def test_an_error_is_one_line_and_a_status(error, status, told, capsys):
    assert run_command(fail(error)) == status
    assert capsys.readouterr().err == told


def test_a_command_has_its_own_status():
    assert run_command(lambda: 1) == 1 and run_command(lambda: None) == 0


@pytest.mark.parametrize("say", [tell, print], ids=["at once", "at the end"])
def test_a_reader_that_leaves_ends_a_command_without_a_word(say, monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert run_command(lambda: [say("a") for _ in range(40)] and None) == 141
        monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_a_full_disk_below_standard_output_is_said_once(monkeypatch, capsys):
    with open("/dev/full", "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert run_command(lambda: tell("a")) == 1
        monkeypatch.undo()
    assert capsys.readouterr().err == "error: no space left on the disk\n"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_any_encoding_can_say_anything(encoding):
    code = SAY.format(r"lambda: tell('× … \udce9')")
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    text = "× … \udce9\n".encode(encoding, errors="backslashreplace")
    assert (ran.stdout, ran.stderr) == (text, b"")


@pytest.mark.parametrize(
    ("module", "imported"),
    [("ssgan_core.train", "torch"), ("book.build", "pydantic"), ("book.record", "argparse")],
)
def test_ctrl_c_during_imports_is_no_traceback(module, imported, tmp_path):
    """A module that takes its time stands before the real one."""
    (tmp_path / f"{imported}.py").write_text(
        "import pathlib, time\npathlib.Path(__file__).with_name('here').touch()\ntime.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for((tmp_path / "here").exists)
    process.send_signal(signal.SIGINT)
    assert process.communicate() == (None, b"") and process.returncode == -signal.SIGINT
