import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from photo_tables import REAL, collection, pets

from ssgan_core.errors import InputError
from ssgan_core.photos.files import scan
from ssgan_core.photos.splits import held_out_size, split_photos


def splits(photos, seed=0):
    table = split_photos(collection(photos), seed).table
    return dict(zip(table["path"], table["split"], strict=True))


@st.composite
def albums(draw):
    """Cats, dogs and unknowns, some of them byte-identical to others, of either class."""
    cats, dogs = draw(st.integers(12, 40)), draw(st.integers(12, 40))
    photos = [(f"cat.{i}.jpg", 0, f"cat {i}") for i in range(cats)]
    photos += [(f"dog.{i}.jpg", 1, f"dog {i}") for i in range(dogs)]
    contents = [photo[2] for photo in photos]
    for i, content in enumerate(draw(st.lists(st.sampled_from(contents), max_size=4))):
        pet = draw(st.sampled_from(["cat", "dog", ""]))
        name = f"{pet}.copy{i}.jpg" if pet else f"test/{i}.jpg"
        photos.append((name, ("cat", "dog").index(pet) if pet else -1, content))
    return photos


def usable(photos, seed=0):
    try:
        return splits(photos, seed)
    except InputError:
        return None


@settings(deadline=None)
@given(albums(), st.integers(0, 3), st.randoms())
def test_sizes_balance_and_twins(photos, seed, random):
    split = usable(photos, seed)
    if split is None:
        return
    known = [photo for photo in photos if photo[1] >= 0]
    for part in ("val", "test"):
        rows = [photo for photo in photos if split[photo[0]] == part]
        assert len(rows) == len(known) // 10
        counts = np.bincount([label for _, label, _ in rows], minlength=2)
        assert abs(counts[0] - counts[1]) <= 1
    by_content = {}
    for path, label, content in photos:
        by_content.setdefault(content, []).append((split[path], label))
    for group in by_content.values():
        assert len({part for part, _ in group}) == 1
        if len({label for _, label in group}) > 1 or -1 in {label for _, label in group}:
            assert group[0][0] == "train"
    random.shuffle(photos)
    assert splits(photos, seed) == split


@settings(deadline=None)
@given(albums(), st.data())
def test_a_file_that_joins(photos, data):
    before = usable(photos)
    if before is None:
        return
    contents = [photo[2] for photo in photos]
    label = data.draw(st.sampled_from([0, 1, -1]))
    content = data.draw(st.sampled_from(["new", *contents]))
    added = f"{('cat', 'dog', 'x')[label]}.{data.draw(st.integers(100, 10_000))}.jpg"
    after = usable([*photos, (added, label, content)])
    if after is None:
        return
    moves = {path: (part, after[path]) for path, part in before.items() if after[path] != part}
    assert {("val", "test"), ("test", "val")}.isdisjoint(moves.values())
    known = sum(photo[1] >= 0 for photo in photos)
    if content == "new" and held_out_size(known) == held_out_size(known + (label >= 0)):
        assert len(moves) == (after[added] != "train")
        assert all(parts == (after[added], "train") for parts in moves.values())


def test_full_size_is_a_thousand_each_and_the_seed_matters():
    first, second = splits(pets(5_000)), splits(pets(5_000), seed=1)
    for split in (first, second):
        parts = np.array(list(split.values()))
        assert ((parts == "val").sum(), (parts == "test").sum()) == (1_000, 1_000)
    tests = [{path for path, part in split.items() if part == "test"} for split in (first, second)]
    assert 50 < len(tests[0] & tests[1]) < 200  # a tenth, as chance would have it


def test_more_photos_take_nothing_from_training():
    # The sets that the book ships were drawn where 1,000 of Kaggle's 25,000 were missing.
    fewer, more = splits(pets(5_000)), splits(pets(6_000))
    moved = {(fewer[path], more[path]) for path in fewer if fewer[path] != more[path]}
    assert moved == {("val", "train"), ("test", "train")}


def test_sizes():
    sizes = [held_out_size(n) for n in (19, 20, 9_999, 10_000, 25_000)]
    assert sizes == [1, 2, 999, 1_000, 1_000]


def test_photos_of_unknown_class_train_and_do_not_count():
    unknown = [(f"test/{i}.jpg", -1) for i in range(50)]
    split = splits(pets(20) + unknown)
    assert {split[path] for path, _ in unknown} == {"train"}
    assert list(split.values()).count("val") == 4


@pytest.mark.parametrize(
    "photos", [pets(5), pets(100)[:103], [(name, label, label) for name, label in pets(30)]]
)
def test_too_few_photos_of_a_class(photos):
    with pytest.raises(InputError, match=r"distinct photos of class '(cat|dog)' among .* needed"):
        splits(photos)


def test_training_keeps_two_photos_of_each_class():
    assert list(splits(pets(34)[28:]).values()).count("train") == 32  # 6 cats, of which 2 + 2 leave
    with pytest.raises(
        InputError, match=r"has 5 distinct photos of class 'cat' among 40; at least 6"
    ):
        splits([*pets(35)[30:], ("dog.x.jpg", 1)][:40])


@pytest.mark.skipif(not REAL.exists(), reason="the real photos are not here")
def test_the_real_photos():
    photos = split_photos(scan(REAL))
    table = photos.table
    assert table.groupby(["split", "label"]).size().to_dict() == {
        ("train", 0): 10_999, ("train", 1): 10_999,
        ("val", 0): 500, ("val", 1): 500, ("test", 0): 500, ("test", 1): 500,
    }  # fmt: skip
    assert table.groupby("digest")["split"].nunique().max() == 1


def test_splits_of_its_own_are_kept_but_for_twins():
    photos = [(f"{folder}/{pet}_{i}.jpg", label, f"{folder} {pet} {i}", split)
              for folder, split in (("labeled", "labeled"), ("train", "unlabeled"), ("val", "val"),
                                    ("test", "test"))
              for label, pet in enumerate(("cat", "dog")) for i in range(3)]  # fmt: skip
    photos += [("val/dog_9.jpg", 1, "train cat 1", "val"),
               ("test/cat_9.jpg", 0, "val dog 2", "test"),
               ("test/dog_8.jpg", 1, "test dog 1", "test"),
               ("test/dog_7.jpg", 1, "labeled cat 0", "test")]  # fmt: skip
    before = {path: split for path, _, _, split in photos}
    table = split_photos(collection(photos)).table
    after = dict(zip(table["path"], table["split"], strict=True))
    moved = {path: after[path] for path in before if after[path] != before[path]}
    assert moved == dict.fromkeys(
        ["val/dog_9.jpg", "val/dog_2.jpg", "test/cat_9.jpg", "test/dog_7.jpg"], "unlabeled"
    )


def test_a_split_that_is_missing_is_drawn_from_training():
    photos = [(f"{split}/{pet}/{i}.jpg", label, f"{split} {pet} {i}", split)
              for split, n in (("train", 40), ("val", 10)) for label, pet in enumerate(("a", "b"))
              for i in range(n)]  # fmt: skip
    once = split_photos(collection(photos))
    table = once.table
    assert table["split"].value_counts().to_dict() == {"train": 70, "val": 20, "test": 10}
    assert set(table["split"][table["path"].str.startswith("val/")]) == {"val"}
    assert split_photos(once).table.equals(table)
