"""What chosen labels are worth: the command counts right, and refuses what it cannot count."""

import json

import numpy as np
import pytest

from ssgan_core.labeling.choose import METHODS
from ssgan_core.pets.collection import draw_pets
from ssgan_core.photos.features import probe, write_features
from ssgan_core.photos.files import scan
from ssgan_core.photos.splits import split_photos
from ssgan_core.probe import main


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    return draw_pets(tmp_path_factory.mktemp("data") / "pets", 120, 32, workers=1)


@pytest.fixture(scope="module")
def features(pets, tmp_path_factory):
    """Features of 120 pets: three blobs of dogs and three of cats, far apart, and one dog photo of
    the test in a blob of cats."""
    photos, folder = split_photos(scan(pets)), tmp_path_factory.mktemp("features")
    label = photos.table["label"].to_numpy().copy()
    label[photos.rows("test")[label[photos.rows("test")] == 1][0]] = 0
    random = np.random.default_rng(0)
    blob = 3 * label + random.integers(3, size=len(label))
    points = 4 * np.eye(6)[blob] + 0.1 * random.standard_normal((len(label), 6))
    write_features(folder, photos, points.astype(np.float32))
    return folder


@pytest.mark.parametrize("by", METHODS)
def test_every_choice_is_counted_on_the_test_photos(by, pets, features, tmp_path, capsys):
    options = ["--photos", str(pets), "--features", str(features), "--by", by]
    options += ["--labels", "6", "--draws", "3", "--seed", "5", "--out", str(tmp_path)]
    assert main(options) == 0
    found = json.loads((tmp_path / "metrics.json").read_text())["values"]
    (values,) = found.values()
    assert list(found) == [by] and [len(column) for column in values.values()] == [3, 3, 3]
    for last, correct in zip(values["last"], values["correct"], strict=True):
        assert len(correct) == 12 and correct.count("1") == round(12 * last)
    if by != "random":
        assert values["last"] == [11 / 12] * 3  # every blob has a label, and one photo is misplaced
        assert values["of_first_class"] == [0.5] * 3
    said = capsys.readouterr().out
    assert f"{by}, 6 labels:" in said
    assert main(options) == 0 and "already done" in capsys.readouterr().out


def test_labels_of_one_class_are_that_class():
    points = np.eye(3, dtype=np.float32)
    assert probe((points, np.array([1, 1, 1])), points).tolist() == [1, 1, 1]


def test_bad_input_is_one_line(pets, features, tmp_path, capsys):
    (tmp_path / "mixed").mkdir()
    for number, photo in enumerate(sorted(pets.rglob("*.jpg"))[:30]):
        (tmp_path / "mixed" / f"{number}.jpg").write_bytes(photo.read_bytes())
    write_features(tmp_path, split_photos(scan(tmp_path / "mixed")), np.ones((30, 2), np.float32))
    mixed = ["--photos", str(tmp_path / "mixed"), "--features", str(tmp_path)]
    there = ["--photos", str(pets), "--features", str(features)]
    for options, message in (
        (mixed, "30 photos of unknown class and 0 to test on"),
        ([*there, "--labels", "5000"], "count is 5000; 1 to 96 photos"),
        (["--photos", str(pets), "--features", str(tmp_path)], "features of other photos"),
        ([*there, "--draws", "0"], "'draws' is 0"),
        (["--photos", str(pets)], "features"),
    ):
        assert main([*options, "--out", str(tmp_path / "out")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "metrics.json").exists()
