"""What is tested is never trained on, by content, in any layout and with any labeled set."""

import tempfile

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from photo_tables import collection, dark_and_bright, fill

from ssgan_core.errors import InputError
from ssgan_core.photos.files import LAYOUTS, UNSORTED, scan
from ssgan_core.photos.labels import choose_labeled, draw_labeled
from ssgan_core.photos.labels_csv import read_labeled
from ssgan_core.photos.loader import Schedule
from ssgan_core.photos.splits import HELD, split_photos
from ssgan_core.ssgan.fit import batch_sizes, fit
from ssgan_core.ssgan.recipes import ALL

PETS = ("cat", "dog")
NAMES = {
    "Kaggle": [f"train/{pet}.{i}.jpg" for pet in PETS for i in range(40)]
    + [f"test1/{i}.jpg" for i in range(1, 30)],
    "Microsoft": [f"PetImages/{pet}/{i}.jpg" for pet in ("Cat", "Dog") for i in range(40)],
    "the article's": [f"{folder}/{pet}_{i}.jpg" for folder in ("labeled", "train", "val", "test")
                      for pet in PETS for i in range(20)],
    "Oxford": [f"images/{pet}_{i}.jpg" for pet in ("Abyssinian", "pug") for i in range(40)],
    "one folder": [f"{pet}/{i}.jpg" for pet in ("cats", "dogs") for i in range(40)],
    "a folder a split": [f"{folder}/{pet}/{i}.jpg" for folder in ("train", "validation")
                         for pet in PETS for i in range(30)],
    "photos of unknown class": [f"2021/{month}/IMG_{i}.jpg" for month in (5, 6) for i in range(40)],
}  # fmt: skip


def test_every_layout_is_tried():
    titles = [*LAYOUTS, UNSORTED]
    assert len(NAMES) == len(titles)
    assert all(any(title.startswith(name) for title in titles) for name in NAMES)


def batches(data, steps=20):
    """Rows of all training batches of all recipes."""
    for recipe in ALL.values():
        for split, size in batch_sizes(recipe, data).items():
            schedule = Schedule(data.rows(split), size, shuffle=True, seed=0)
            yield from (schedule.batch(step) for step in range(steps))


def assert_no_leak(data):
    digests = data.table["digest"].to_numpy()
    tested = set(digests[data.table["split"].isin(HELD)])
    assert tested
    trained = set(digests[np.concatenate(list(batches(data)))])
    assert trained and not trained & tested


@pytest.mark.parametrize("layout", NAMES)
def test_no_test_image_is_in_a_training_batch(tmp_path, layout):
    names = NAMES[layout]
    contents = {name: name for name in names}
    for i in range(0, len(names), 5):  # twins, within splits and classes and across
        contents[names[i]] = names[(7 * i + 1) % len(names)]
    photos = split_photos(scan(fill(tmp_path / "photos", contents)))
    assert photos.layout.startswith(layout)
    for seed in range(3 if photos.classes else 0):
        assert_no_leak(choose_labeled(photos, draw_labeled(photos, 10, seed)))
    file = tmp_path / "set.csv"
    for parts in ((), HELD) if photos.classes else (HELD,):
        file.write_text(persons_set(photos, parts))
        chosen = choose_labeled(photos, read_labeled(file, photos))
        assert set(chosen.moved) >= (set(HELD) if photos.classes else {"unlabeled"})
        assert_no_leak(chosen)


def persons_set(photos, parts=()):
    """A CSV of photos of every split and class, two of each to learn from, and one for each part.

    Where no class is known, every other photo is a cat.
    """
    twins = photos.table["digest"].duplicated(keep=False)
    table = photos.table.assign(twins=twins).sort_values("twins", ascending=False, kind="stable")
    table = table[~table["digest"].duplicated()]  # what has twins comes first, and is tested
    labels = table["label"] if photos.classes else pd.Series(np.arange(len(table)) % 2, table.index)
    table = table.assign(label=labels)[labels >= 0]
    lines = ["path,label,split"]
    for (label, _), rows in table.groupby(["label", "split"]):
        for part, path in zip([*parts, "labeled", "labeled"], rows["path"], strict=False):
            lines.append(f"{path},{(photos.classes or PETS)[label]},{part}")
    return "\n".join(lines)


@given(st.data())
def test_no_set_that_is_accepted_leaks(data):
    photos = [(f"{pet}.{i}.jpg", label, data.draw(st.integers(0, 60)) if i % 3 else f"{pet} {i}")
              for label, pet in enumerate(PETS) for i in range(30)]  # fmt: skip
    known = data.draw(st.booleans())
    blind = [(path, label if known else -1, content) for path, label, content in photos]
    try:
        split = split_photos(collection(blind, PETS if known else ()))
    except InputError:
        return
    rows = data.draw(st.sets(st.integers(0, len(photos) - 1), min_size=4, max_size=12))
    parts = data.draw(st.sampled_from([["labeled"], ["labeled"] * 3 + HELD]))
    names = [split.table["path"][row] for row in sorted(rows)]
    lines = [f"{name},{name[:3]},{data.draw(st.sampled_from(parts))}" for name in names]
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(["path,label,split", *lines]) + "\n")
        file.flush()
        try:
            labeled = read_labeled(file.name, split)
        except InputError:
            return
    chosen = choose_labeled(split, labeled)
    if all(len(chosen.rows(part)) for part in (*HELD, "unlabeled")):
        assert_no_leak(chosen)


@pytest.mark.parametrize("recipe", ["article", "ssgan-contrast", "complement"])
def test_labels_of_unlabeled_photos_are_never_read(recipe):
    data = dark_and_bright()
    blind = dark_and_bright()
    rows = blind.rows("unlabeled")
    blind.table.loc[rows, "label"] = np.random.default_rng(0).integers(0, 2, len(rows))
    runs = [
        fit(ALL[recipe], photos, 3, width=8, generator_width=16, evaluations=1, seed=1)
        for photos in (data, blind)
    ]
    assert not (data.table["label"] == blind.table["label"]).all()
    one, two = (run.model.state_dict() for run in runs)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert runs[0].test == runs[1].test
