import contextlib
import io
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import chi2_contingency

from ssgan_core.errors import InputError
from ssgan_core.pets import collection as pets
from ssgan_core.pets.collection import draw_pet, draw_pets, drawn_pets


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return draw_pets(tmp_path_factory.mktemp("pets") / "made", count=60, size=32, seed=3, workers=2)


@pytest.fixture(scope="module")
def attributes():
    """What is on 2,000 pictures, without drawing them."""
    return pd.DataFrame(
        [
            pets._choose(np.random.default_rng([0, index]), pets.CLASSES[(index + 1) % 2])[0]
            for index in range(1, 2001)
        ]
    )


def test_attributes_are_those_of_the_picture(attributes):
    assert draw_pet(0, 11, 16)[1] == attributes.iloc[10].to_dict()


def files(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_a_picture_depends_on_seed_and_index_only():
    first, values = draw_pet(5, 7, 48)
    draw_pet(5, 8, 48)
    again, same = draw_pet(5, 7, 48)
    assert first.tobytes() == again.tobytes() and values == same
    assert first.tobytes() != draw_pet(6, 7, 48)[0].tobytes()
    assert first.tobytes() != draw_pet(5, 9, 48)[0].tobytes()


def test_a_picture_is_the_same_scene_at_any_size():
    small, values = draw_pet(2, 4, 32)
    large, same = draw_pet(2, 4, 128)
    assert values == same and large.size == (128, 128)
    shrunk = np.asarray(large.resize((32, 32), Image.Resampling.BOX), float)
    assert np.abs(shrunk - np.asarray(small, float)).mean() < 6


def test_files_do_not_depend_on_workers_or_count(collection, tmp_path):
    alone = draw_pets(tmp_path / "alone", count=60, size=32, seed=3, workers=1)
    assert files(alone) == files(collection)
    fewer = draw_pets(tmp_path / "fewer", count=10, size=32, seed=3)
    assert (fewer / "dog/00010.jpg").read_bytes() == (collection / "dog/00010.jpg").read_bytes()


def test_the_folder_holds_jpeg_files_and_their_attributes(collection):
    table = pd.read_csv(collection / "attributes.csv")
    found = {p.relative_to(collection).as_posix() for p in collection.glob("*/*.jpg")}
    assert set(table.path) == found and len(found) == 60
    assert (table.label.value_counts() == 30).all()
    assert not table.isna().any(axis=None)
    for path, label in zip(table.path, table.label, strict=True):
        assert path.startswith(f"{label}/")
        with Image.open(io.BytesIO((collection / path).read_bytes())) as picture:
            picture.load()
            assert (picture.format, picture.size, picture.mode) == ("JPEG", (32, 32), "RGB")
            assert np.asarray(picture).std() > 5  # something is on it


@pytest.mark.parametrize("name", [*pets.NUISANCES, "coat", "pattern"])
def test_nuisances_are_independent_of_the_class(attributes, name):
    p_value = chi2_contingency(pd.crosstab(attributes.label, attributes[name])).pvalue
    assert p_value > 1e-3


@pytest.mark.parametrize("name", pets.NUISANCES)
def test_nuisances_come_up_as_often_as_they_should(attributes, name):
    shares = attributes[name].value_counts(normalize=True)
    for value, expected in pets.NUISANCES[name].items():
        assert shares[value] == pytest.approx(expected, abs=0.04)


def test_colors_do_not_tell_the_classes_apart(collection):
    mean = {
        name: np.mean(
            [np.asarray(Image.open(p)).mean((0, 1)) for p in collection.glob(f"{name}/*")], 0
        )
        for name in pets.CLASSES
    }
    assert np.abs(mean["cat"] - mean["dog"]).max() < 30


def test_a_complete_collection_is_reused(collection, monkeypatch):
    monkeypatch.setattr(pets, "draw_pet", None)
    assert draw_pets(collection, count=60, size=32, seed=3) == collection


def test_drawing_reports_progress(tmp_path):
    seen = []
    draw_pets(tmp_path / "x", 60, 16, workers=1, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(50, 60), (60, 60)]


def test_a_failed_drawing_leaves_nothing(tmp_path, monkeypatch):
    def fail(seed, index, size):
        if index == 3:
            raise OSError("no space left on device")
        return draw_pet(seed, index, size)

    monkeypatch.setattr(pets, "draw_pet", fail)
    with pytest.raises(OSError, match="no space"):
        draw_pets(tmp_path / "x", count=4, size=16, workers=1)
    assert list(tmp_path.iterdir()) == []


DRAW = """
import sys
from pathlib import Path
from ssgan_core.command_line import run_command
from ssgan_core.pets.collection import draw_pets
sys.exit(run_command(lambda: draw_pets(Path(sys.argv[1]), 4000, 64, workers=2) and 0))
"""


def workers(root):
    """The numbers of processes that draw below a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"pets.worker" in command and os.fsencode(root) in command:
                found.append(process)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_a_drawing_that_is_killed(number, tmp_path):
    """The processes are light; after SIGTERM nothing is left, after SIGKILL until the next call."""
    root = tmp_path / "pets"
    process = subprocess.Popen([sys.executable, "-c", DRAW, root], cwd=pets.REPOSITORY)
    while not list(tmp_path.glob(".pets*/*/*.jpg")):
        assert process.poll() is None
        time.sleep(0.05)
    drawing = workers(root.parent)
    assert len(drawing) == 2
    for worker in drawing:
        assert "torch" not in (worker / "maps").read_text()
        memory = re.search(r"VmRSS:\s+(\d+) kB", (worker / "status").read_text())
        assert int(memory[1]) < 200_000
    process.send_signal(number)
    killed = number == signal.SIGKILL
    assert process.wait(30) == (-9 if killed else 143)
    end = time.monotonic() + 3
    while workers(root.parent) and time.monotonic() < end:
        time.sleep(0.05)
    assert not workers(root.parent)
    assert len(list(tmp_path.iterdir())) == killed
    draw_pets(root, count=4, size=16, workers=1)
    assert list(tmp_path.iterdir()) == [root]


def test_a_full_disk_in_a_worker_is_said(tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        with pytest.raises(OSError, match="pets cannot be drawn there: File too large") as error:
            draw_pets(tmp_path / "x", count=60, size=16, workers=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert error.value.filename == str(tmp_path / "x") and list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(OSError, match="a process that drew pets ended with status 1"):
        draw_pets(tmp_path / "x", count=60, size=16, workers=2)


def test_something_else_in_the_way_is_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="is not the collection asked for"):
        draw_pets(tmp_path, count=4, size=16)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_drawn_pets_lie_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SSGAN_DATA", str(tmp_path))
    root = drawn_pets(count=4, size=16, seed=1)
    assert root == tmp_path / "drawn-pets" / f"4-16-1-v{pets.VERSION}"
    assert (root / "attributes.csv").is_file()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"count": 1}, "count is 1; it must be a whole number, 2 or more"),
        ({"size": 15}, "size is 15; it must be a whole number, 16 to 512"),
        ({"size": 513}, "size is 513"),
        ({"size": 64.0}, r"size is 64\.0"),
        ({"seed": -1}, "seed is -1"),
        ({"workers": 0}, "workers is 0"),
        ({"count": "many"}, "count is 'many'"),
    ],
)
def test_bad_parameters_are_named(tmp_path, bad, message):
    with pytest.raises(InputError, match=message):
        draw_pets(tmp_path / "x", **({"count": 4, "size": 16} | bad))
    assert list(tmp_path.iterdir()) == []
