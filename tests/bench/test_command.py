"""`python -m ssgan_core.bench`: every subcommand prints its tables, bad input is one line."""

import shlex

import pytest
import torch
from at_once import AtOnce

from ssgan_core.bench import __main__ as command
from ssgan_core.bench import graphs, loader, step, timing
from ssgan_core.device import Hardware
from ssgan_core.pets.collection import draw_pets

CPU = Hardware(torch.device("cpu"), False)


@pytest.fixture
def printed(monkeypatch, capsys):
    """The lines that a command prints, on small numbers and in this process."""
    monkeypatch.setattr(timing, "SIDE", {"cpu": 64})
    monkeypatch.setattr(timing, "COPIED", 1000)
    monkeypatch.setattr(Hardware, "detect", lambda: CPU)
    monkeypatch.setattr(step, "keep_freed_memory", lambda: None)
    for module in (loader, step):
        monkeypatch.setattr(module, "ProcessPoolExecutor", AtOnce)

    def run(line):
        assert command.main(shlex.split(line)) == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_step(printed):
    line = "step --size 32 --width 8 --labels 2 --unlabeled 3 --rounds 1 --steps 1"
    first, columns, *rows = printed(line)
    assert first.endswith("fp32, 32 px, 2 labeled and 3 unlabeled images a step")
    assert "times reference" in columns and rows[2].startswith("ours")
    assert [row.split()[0] for row in rows[-3:]] == ["roofline", "arithmetic", "bytes"]
    *_, columns, _, one, two = printed(f"{line} --side-by-side 1 2")
    assert "images/s" in columns and "memory of one (GB)" in columns
    assert one.split()[0] == "1" and two.split()[0] == "2" and float(one.split()[3]) == 1


def test_graphs_needs_a_gpu(monkeypatch, capsys):
    monkeypatch.setattr(Hardware, "detect", lambda: CPU)
    assert command.main(["graphs"]) == 2
    assert "no CUDA GPU" in capsys.readouterr().err


def test_graphs(printed, monkeypatch):
    like_a_gpu = Hardware(torch.device("cuda"), False)
    monkeypatch.setattr(Hardware, "detect", lambda: like_a_gpu)
    times = graphs.stage_times
    monkeypatch.setattr(
        graphs, "stage_times", lambda *given: times(*given[:-1], CPU, rounds=1, steps=1)
    )
    first, *rows = printed("graphs --size 32 --width 8 --unlabeled 2")
    assert first.endswith("32 px, 32 labeled and 2 unlabeled images a step")
    assert {row.split()[0] for row in rows[2:]} == set(graphs.RECIPES)


def test_loader(printed, tmp_path):
    photos = draw_pets(tmp_path / "pets", 6, 32, workers=1)
    lines = printed(f"loader {photos} --size 16 24 --count 5 --threads 1 --repeats 1")
    assert len(lines) == 2 + 2 * len(loader.ways())
    assert str(photos) in lines[0] and "torchvision" in lines[0] and "ImageFolder" in lines[1]


def test_digits(printed, monkeypatch):
    speeds = command.digits.speeds
    monkeypatch.setattr(command.digits, "speeds", lambda data: speeds(data, rounds=1, steps=1))
    lines = printed("digits")
    assert [line.split()[0] for line in lines if line.split()[0] in ("plain", "ours", "roofline")]
    assert "calls a step" in "".join(lines)


def test_plane(printed, monkeypatch):
    times = command.plane.step_times
    monkeypatch.setattr(command.plane, "step_times", lambda *given: times(*given, rounds=1))
    first, *rows = printed("plane --runs 2 --steps 2")
    assert first.startswith("2 runs, 2 steps") and rows[-1].startswith("all")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", "WHAT"),
        ("loop", "loop"),
        ("step --size 7", "--size"),
        ("step --rounds 0", "--rounds: '0'"),
        ("step --labels 1", "--labels: '1'"),
        ("plane --runs many", "--runs: 'many'"),
        ("step --fast", "--fast"),
        ("loader", "PHOTOS"),
        ("loader /no/such/folder", "/no/such/folder"),
        ("digits --mnist /no/such/folder", "/no/such/folder"),
    ],
)
def test_bad_input_is_one_line(capsys, line, named):
    assert command.main(shlex.split(line)) == 2
    told = capsys.readouterr()
    (error,) = told.err.splitlines()
    assert error.startswith("error: ") and named in error and not told.out
