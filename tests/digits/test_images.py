"""Digits: what is loaded, what is refused, and balanced draws."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan_core.digits.images import MNIST_SHAPES, draw_labeled, load_digits
from ssgan_core.errors import InputError


def write_mnist(root: Path) -> Path:
    """Files of MNIST's names and shapes with random content; returns MNIST/raw."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, shape in MNIST_SHAPES.items():
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, dtype=">u4").tobytes()
        high = 10 if len(shape) == 1 else 256
        body = random.integers(0, high, int(np.prod(shape)), dtype=np.uint8)
        (raw / name).write_bytes(header + body.tobytes())
    return raw


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    root = tmp_path_factory.mktemp("mnist")
    write_mnist(root)
    return root


@pytest.fixture
def broken(mnist, tmp_path):
    """A copy of the files that a test may spoil."""
    shutil.copytree(mnist / "MNIST", tmp_path / "MNIST")
    return tmp_path


def test_small_digits_are_split_once_and_for_all():
    digits = load_digits()
    assert digits.side == 8 and len(digits.images) == 1297 and len(digits.test_images) == 500
    assert digits.images.dtype == torch.float32 and digits.images.shape[1] == 64
    assert float(digits.images.min()) == 0 and float(digits.images.max()) == 1
    assert torch.bincount(digits.test_labels, minlength=10).min() >= 48
    assert load_digits().checksum == digits.checksum


def test_mnist_is_read_through_torchvision(mnist):
    digits = load_digits(mnist)
    assert digits.side == 28 and digits.images.shape == (60_000, 784)
    assert digits.test_images.shape == (10_000, 784)
    first = (mnist / "MNIST/raw/train-images-idx3-ubyte").read_bytes()[16:800]
    expected = torch.tensor(list(first)) / 255
    assert torch.allclose(digits.images[0], expected)
    assert load_digits(str(mnist)).labels.dtype == torch.int64


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="no folder"):
        load_digits(tmp_path / "nowhere")


def test_truncated_file(broken):
    path = broken / "MNIST/raw/train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte has 1,000 bytes.*47,040,016"):
        load_digits(broken)


def test_file_of_another_kind(broken):
    raw = broken / "MNIST/raw"
    shutil.copy(raw / "train-labels-idx1-ubyte", raw / "train-images-idx3-ubyte")
    with pytest.raises(InputError, match=r"starts with the bytes 00 00 08 01.*00 00 08 03"):
        load_digits(broken)


def test_empty_file(broken):
    (broken / "MNIST/raw/t10k-labels-idx1-ubyte").write_bytes(b"")
    with pytest.raises(InputError, match=r"t10k-labels.*none"):
        load_digits(broken)


def test_wrong_shape(broken):
    path = broken / "MNIST/raw/t10k-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[4:16] = np.array([10_000, 14, 56], dtype=">u4").tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"\(10000, 14, 56\).*\(10000, 28, 28\)"):
        load_digits(broken)


def test_label_that_is_no_digit(broken):
    path = broken / "MNIST/raw/train-labels-idx1-ubyte"
    content = bytearray(path.read_bytes())
    content[100] = 10
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"train-labels.*label 10"):
        load_digits(broken)


def offline(root, download=True, **options):
    """What torchvision leaves where its download breaks off."""
    raw = Path(root) / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(b"half")
    raise RuntimeError("no network")


def test_missing_file_that_cannot_be_downloaded(broken, monkeypatch):
    monkeypatch.setattr("ssgan_core.digits.images.MNIST", offline)
    (broken / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"lacks t10k-labels-idx1-ubyte.*no network"):
        load_digits(broken)
    assert len(list((broken / "MNIST/raw").iterdir())) == 3, "what was there stays, no more"


def test_a_failed_download_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("ssgan_core.digits.images.MNIST", offline)
    with pytest.raises(InputError, match=r"lacks train-images.*no network"):
        load_digits(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_is_found_from_home_and_from_the_root(mnist, monkeypatch):
    monkeypatch.setenv("HOME", str(mnist.parent))
    assert load_digits(f"~/{mnist.name}").name == "MNIST"
    monkeypatch.setattr("ssgan_core.paths.project_root", lambda: mnist.parent)
    assert load_digits(mnist.name).name == "MNIST"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "a path is empty"),
        ("~nobody-here/mnist", "~nobody-here/mnist starts with a user that"),
        ("x" * 300, "which is no folder"),
        (__file__, "test_images.py, which is no folder"),
    ],
)
def test_a_path_that_leads_nowhere_is_named(path, message):
    with pytest.raises(InputError, match=message):
        load_digits(path)


@settings(deadline=None, max_examples=25)
@given(a_class=st.integers(1, 20), seed=st.integers(0, 2**31 - 1))
def test_draws_are_balanced_and_repeatable(a_class, seed):
    labels = torch.arange(10).repeat(30)
    rows = draw_labeled(labels, 10 * a_class, seed)
    assert torch.equal(torch.bincount(labels[rows]), torch.full((10,), a_class))
    assert len(rows.unique()) == len(rows)
    assert torch.equal(rows, draw_labeled(labels, 10 * a_class, seed))


def test_draws_differ():
    labels = torch.arange(10).repeat(30)
    assert not torch.equal(draw_labeled(labels, 10, 0), draw_labeled(labels, 10, 1))


@pytest.mark.parametrize("n", [0, -10, 5, 15, 101])
def test_count_that_is_no_multiple_of_the_classes(n):
    with pytest.raises(InputError, match=rf"labels is {n};.*10 classes"):
        draw_labeled(torch.arange(10).repeat(30), n, 0)


def test_class_with_too_few_images():
    labels = torch.cat([torch.arange(10).repeat(5), torch.tensor([3])])
    with pytest.raises(InputError, match=r"6 of each class, and class 0 has only 5"):
        draw_labeled(labels, 60, 0)
