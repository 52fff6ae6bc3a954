"""What a GPU runner is asked before it runs, and the table that it leaves."""

from types import SimpleNamespace

import pytest
import torch
from book_root import make_root, put
from photo_tables import fill

from book.common import BuildError
from book.runner import check, main, summary
from ssgan_core.digits.images import MNIST_SHAPES
from ssgan_core.photos import loader


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """A machine that has everything, in words at least."""
    fill(tmp_path / "photos", ["cat.1.jpg", "dog.1.jpg"])
    fill(tmp_path / "mnist/MNIST/raw", list(MNIST_SHAPES))
    monkeypatch.setenv("SSGAN_PHOTOS", str(tmp_path / "photos"))
    monkeypatch.setenv("SSGAN_MNIST", str(tmp_path / "mnist"))
    gpu = SimpleNamespace(is_available=lambda: True, get_device_name=lambda: "an H100")
    monkeypatch.setattr(torch, "cuda", gpu)
    monkeypatch.setattr(loader, "_dali", lambda: ("mixed", "DALI 2"))
    return tmp_path


def test_where_all_is_there_it_says_what(complete):
    assert check() == f"an H100; DALI 2 decodes on the GPU; photos in {complete / 'photos'}"


def test_without_a_gpu_or_data_one_line_names_all_that_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("SSGAN_PHOTOS", raising=False)
    monkeypatch.setenv("SSGAN_MNIST", "/no/where")
    assert main(["check"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: missing for the book at full: a CUDA GPU, or a driver for it")
    assert "photos (SSGAN_PHOTOS= names no folder)" in line
    assert "mnist (SSGAN_MNIST=/no/where names no folder)" in line


@pytest.mark.parametrize(
    ("dali", "told"),
    [
        ((None, "DALI is not installed (no)"), "DALI is not installed"),
        (("cpu", "DALI 2"), "DALI 2 cannot use the GPU; is its driver too old?"),
    ],
)
def test_a_gpu_that_dali_cannot_use_is_told_apart(complete, dali, told, monkeypatch):
    monkeypatch.setattr(loader, "_dali", lambda: dali)
    with pytest.raises(
        BuildError, match=r"^missing for the book at full: DALI on the GPU"
    ) as caught:
        check()
    assert told in str(caught.value)


def test_folders_without_what_is_sought_are_named(complete):
    (complete / "mnist/MNIST/raw/train-images-idx3-ubyte").unlink()
    for photo in (complete / "photos").iterdir():
        photo.unlink()
    with pytest.raises(BuildError, match=r"photos \(there is no JPEG below .*lacks train-images"):
        check()


def test_the_summary_tells_durations_and_what_lies_outside_its_band(tmp_path):
    root = make_root(tmp_path / "root")
    (root / "book/expectations.toml").write_text("[01_first.full.embedded]\naccuracy = [0.9, 1]\n")
    put(root, 1)
    put(root, 2, "quick")
    lines = summary(root).splitlines()
    assert lines[2].startswith(
        "| 01_first | full | dots | an H100 | 1 min 02 s | 0 of 1 held; 01_f"
    )
    assert "accuracy = 0.8 is outside [0.9, 1]" in lines[2]
    assert lines[3].endswith("| quick | dots | an H100 | 1 min 02 s | no bands |")
    assert lines[4] == "| in all | | | | 2 min 03 s | |"
