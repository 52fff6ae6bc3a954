"""Every chapter's way at `full`, rehearsed on a CPU: a few steps on real files, on all that a GPU
would compute."""

import json
import struct

import numpy as np
import pytest
from book_root import REPO, run_chapter

from ssgan_core.digits.images import MNIST_SHAPES
from ssgan_core.pets.collection import draw_pets

SMALL = {"size": 32, "width": 8, "evaluations": 1}
GAN = SMALL | {"labels": 10, "draws": 1, "generator_width": 16, "steps": 2}
CHAPTERS = {
    "01_a_handful_of_labels": {"points": 200, "draws": 2},
    "02_a_gan_in_the_plane": {"points": 200, "steps": 6},
    "03_the_complement_generator": {"points": 200, "draws": 2, "other_draws": 2, "steps": 8},
    "04_digits": {"draws": 1, "steps": 10, "budgets": [20]},
    "05_dcgan": {"size": 32, "width": 32, "batch": 8, "steps": 2, "evaluations": 2,
                 "judge_steps": 4, "judge_width": 8, "trial_steps": 2},
    "06_a_hundred_labels": SMALL | {"labels": 10, "draws": 1, "epochs": 2},
    "07_classifier_and_discriminator": GAN,
    "08_further_than_the_article": GAN,
    "09_which_hundred": SMALL
    | {"labels": 10, "sets": 2, "draws": 2, "steps": 2, "tuning_steps": 2},
    "10_the_claims": {},
    "11_feeding_the_gpu": {"size": 32, "width": 8, "generator_width": 16, "count": 200,
                           "repeats": 1, "steps": 2, "threads": 1},
    "12_how_fast_a_step_is": {"size": 32, "width": 8, "labels": 8, "unlabeled": 8, "rounds": 1,
                              "steps": 1},
}  # fmt: skip
SLOW = ("03_the_complement_generator", "04_digits", "11_feeding_the_gpu", "12_how_fast_a_step_is")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folders of photos and of a made-up MNIST in torchvision's layout."""
    pets = draw_pets(tmp_path_factory.mktemp("photos") / "pets", 240, 64, workers=1)
    mnist = tmp_path_factory.mktemp("mnist")
    (mnist / "MNIST/raw").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, shape in MNIST_SHAPES.items():
        values = random.integers(0, 10 if len(shape) == 1 else 256, shape, np.uint8)
        head = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
        (mnist / "MNIST/raw" / name).write_bytes(head + values.tobytes())
    return {"photos": str(pets), "mnist": str(mnist)}


def test_every_chapter_is_rehearsed():
    assert sorted(CHAPTERS) == sorted(path.stem for path in REPO.glob("notebooks/[0-9]*.ipynb"))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.scale if n in SLOW else ()) for n in CHAPTERS]
)
def test_a_chapter_goes_its_way_at_full(name, data, tmp_path, monkeypatch):
    from book.discover import Chapter

    chapter = Chapter(REPO, name)
    given = {key: path for key, path in data.items() if key in chapter.parameters}
    runs = REPO / "runs" / name
    before = {path: path.stat().st_mtime_ns for path in runs.glob("full-*/metrics.json")}
    run_chapter(name, tmp_path / "out.ipynb", profile="full", **CHAPTERS[name], **given)
    (written,) = (
        p for p in runs.glob("full-*/metrics.json") if before.get(p) != p.stat().st_mtime_ns
    )
    metrics = json.loads(written.read_text())
    assert metrics["profile"] == "full"
    assert {key: metrics["settings"][key] for key in given} == given
