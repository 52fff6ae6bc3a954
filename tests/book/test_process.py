"""The builder as a process: alone in its checkout, and gone with its kernel when it is ended."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from book_root import REPO, make_root, write_chapter

from book.build import build
from book.common import BuildError

SLEEPS = "import os, time\nprint('asleep:', os.getpid(), flush=True)\ntime.sleep(600)"
STOPPED = "\ninterrupted; the same command goes on from here\n"
HOLDS_THE_LOCK = SLEEPS.replace("600)", "1)\nimport re; re.match('(a+)+$', 'a' * 60 + 'b')")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def root(tmp_path):
    root = make_root(tmp_path / "root")
    write_chapter(root, "01_first", SLEEPS)
    return root


@pytest.fixture
def start(root):
    """Start a build and wait until its first chapter is asleep; the process, and its kernel's."""
    started = []

    def start(only="1", **options):
        command = [sys.executable, "-m", "book.build", "--profile", "smoke", "--only", only]
        environment = os.environ | {"PYTHONPATH": str(REPO)}
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE) | options
        process = subprocess.Popen(command, cwd=root, env=environment, text=True, **pipes)
        started.append(process.pid)
        log = root / "book/logs/01_first.log"
        until(lambda: log.exists() and "\n" in log.read_text(), process)
        kernel = int(re.match(r"asleep: (\d+)", log.read_text())[1])
        started.append(kernel)
        return process, kernel

    yield start
    for number in started:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def until(true, process=None, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert process is None or process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.1)


def gone(number):
    """Whether a process has ended, be it that nobody has asked how."""
    status = Path(f"/proc/{number}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] in "ZX"


def left(root):
    """What lies where builds write, less what every build leaves."""
    files = {path.relative_to(root / "book").as_posix() for path in (root / "book").rglob("*.*")}
    usual = {"logs/build.lock", "logs/01_first.log", "logs/01_first.ipynb"}
    usual |= {"chapters/02_second.ipynb"}  # a placeholder, where it is not selected
    return {name for name in files if name.startswith(("logs/0", "logs/.", "chapters/"))} - usual


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_build_that_is_stopped_takes_its_kernel_along_and_leaves_no_page(root, start, number):
    page = root / "book/chapters/01_first.ipynb"
    page.parent.mkdir(parents=True)
    page.write_text("an older page")
    process, kernel = start()
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert gone(kernel)
    assert error == STOPPED
    assert not left(root)


def test_a_build_whose_terminal_is_closed_ends_like_one_that_is_stopped(root, start):
    terminal, its_end = os.openpty()
    process, kernel = start(stdin=its_end, stdout=its_end, stderr=its_end)
    for end in (terminal, its_end):
        os.close(end)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 128 + signal.SIGHUP
    assert gone(kernel) and not left(root)


def test_a_stopped_build_ends_all_chapters_that_run_and_begins_no_other(tmp_path, start):
    root = tmp_path / "root"
    (root / "_toc.yml").write_text(
        (root / "_toc.yml").read_text() + "  - file: book/chapters/03_last\n"
    )
    for name in ("02_second", "03_last"):
        write_chapter(root, name, SLEEPS)
    process, kernel = start(only="1,2,3")
    second, third = (root / f"book/logs/{name}.log" for name in ("02_second", "03_last"))
    until(lambda: second.exists() and "\n" in second.read_text(), process)
    other = int(re.match(r"asleep: (\d+)", second.read_text())[1])
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, STOPPED)
    assert gone(kernel) and gone(other)
    assert not third.exists()
    assert left(root) <= {"logs/02_second.log", "logs/02_second.ipynb"}


def test_a_build_under_nohup_goes_on(start):
    process, kernel = start(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert process.poll() is None and not gone(kernel)


def test_the_kernel_of_a_killed_build_ends_and_the_next_build_begins(root, start):
    write_chapter(root, "01_first", HOLDS_THE_LOCK)
    process, kernel = start()
    time.sleep(2)  # until its one call of C has begun
    process.kill()
    process.wait()
    until(lambda: gone(kernel), seconds=3)
    build(root, "smoke", pages_only=True, html=False)
    assert left(root) == {"logs/01_first.kernel.json"}


def test_a_second_build_in_the_same_checkout_is_refused_and_names_the_first(root, start):
    process, _ = start()
    with pytest.raises(BuildError) as caught:
        build(root, "smoke", only="2", html=False)
    assert str(caught.value) == (
        f"process {process.pid} is building the book in {root}; wait for it or end it"
    )
    assert left(root) == {"logs/01_first.kernel.json"}


def test_a_build_goes_on_where_nobody_reads_what_it_says(tmp_path):
    code = "from book.common import say\nfor n in range(9): say(n)\nopen('done', 'w')"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(REPO)},
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.scale)])
def test_a_build_killed_anywhere_ends_as_one_that_never_was(kills, tmp_path):
    """At random moments of whole builds, pages included; what lies there is whole at any time."""
    root, chance = make_root(tmp_path / "root"), random.Random(0)
    command = [sys.executable, "-m", "book.build", "--profile", "smoke"]

    def begin():
        environment = os.environ | {"PYTHONPATH": str(REPO)}
        return subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL)

    def product():
        """Executed chapters without times and their records by name; the names of all pages."""
        found = {}
        for path in (root / "book/chapters").glob("*.ipynb"):
            notebook = nbformat.read(path, as_version=4)
            found[path.name] = [(c.source, c.get("outputs")) for c in notebook.cells]
        for path in (root / "book/chapters").glob("*.json"):
            found[path.name] = json.loads(path.read_text("utf-8"))
        pages = root / "_build/html"
        return found, {path.relative_to(pages) for path in pages.rglob("*.html")}

    began = time.monotonic()
    assert begin().wait() == 0
    seconds, whole = time.monotonic() - began, product()
    assert len(whole[0]) == 4 and len(whole[1]) >= 4
    done = 0
    while done < kills:
        for folder in ("book/chapters", "runs", "_build"):
            shutil.rmtree(root / folder)
        going_on = True
        while going_on and done < kills:
            process = begin()
            with suppress(subprocess.TimeoutExpired):
                going_on = process.wait(chance.uniform(0, seconds)) != 0
                assert not going_on
            if going_on:
                process.kill()
                process.wait()
                done += 1
                parts, _ = product() if (root / "book/chapters").exists() else ({}, set())
                assert parts.items() <= whole[0].items()
        assert begin().wait() == 0
        assert product() == whole
        pages = {f"chapters/{name}" for name in whole[0]}
        assert left(root) - pages <= {"logs/02_second.log", "logs/02_second.ipynb"}
