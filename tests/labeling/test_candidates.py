"""What may be chosen: nothing held out, no twin; and features that belong to these photos."""

from dataclasses import replace

import numpy as np
import pytest
from photo_tables import collection, pets

from ssgan_core.errors import InputError
from ssgan_core.labeling.candidates import candidates
from ssgan_core.photos.features import read_features
from ssgan_core.photos.splits import split_photos


@pytest.fixture(scope="module")
def photos():
    """60 cats, 60 dogs, two twins of training photos, one photo of no class."""
    extra = [("cat.twin.jpg", 0, "cat.3.jpg"), ("dog.twin.jpg", 1, "dog.4.jpg")]
    return split_photos(collection([*pets(60), *extra, ("test/1.jpg", -1)]))


@pytest.fixture
def saved(tmp_path, photos):
    """Writes features of some photos as a pretraining does; what is given replaces its own."""

    def write(rows=slice(None), **given):
        table = photos.table.iloc[rows]
        known = {
            "paths": table["path"].to_numpy(str),
            "features": np.array([[row, 1] for row in table.index], dtype=np.float32),
            "checksum": replace(photos, table=table).checksum,
        }
        np.savez(tmp_path / "features.npz", **known | given)
        return tmp_path

    return write


def test_held_out_photos_and_later_twins_are_no_candidates(photos):
    chosen = photos.table.iloc[candidates(photos)]
    assert set(chosen["split"]) == {"train"} and not chosen["digest"].duplicated().any()
    assert len(chosen) == 123 - 24 - 2
    assert {"cat.3.jpg", "test/1.jpg"} <= set(chosen["path"])
    assert "cat.twin.jpg" not in set(chosen["path"])


def test_a_twin_of_a_held_out_photo_is_no_candidate():
    photos = collection([("a.jpg", 0, "x", "test"), ("b.jpg", 0, "x", "train"), ("c.jpg", 0)])
    assert candidates(photos).tolist() == [2]


def test_no_class_is_looked_at(photos):
    blank = replace(photos, table=photos.table.assign(label=-1), classes=())
    assert (candidates(blank) == candidates(photos)).all()


def test_without_splits_all_but_twins_are_candidates(photos):
    bare = replace(photos, table=photos.table.assign(split="", label=-1), classes=())
    assert len(candidates(bare)) == 121


def test_features_are_found_by_name_whatever_their_order(saved, photos):
    order = np.random.default_rng(0).permutation(len(photos))
    for folder in (saved(), saved(order)):
        rows, features = read_features(folder, photos)
        assert (rows == features[:, 0]).all() and len(rows) == len(photos)


def test_features_of_the_photos_that_could_be_decoded_are_accepted(saved, photos):
    kept = [row for row in range(len(photos)) if row not in (3, 77)]
    rows, features = read_features(saved(kept), photos)
    assert rows.tolist() == kept and (features[:, 0] == rows).all()


def test_features_of_other_photos_are_refused(saved, photos):
    other = collection([*pets(60), ("test/1.jpg", -1), ("cat.new.jpg", 0)])
    with pytest.raises(InputError, match=r"other photos than those in photos: 121 of its 123"):
        read_features(saved(), other)
    changed = photos.table.assign(digest=photos.table["digest"].iloc[::-1].to_numpy())
    with pytest.raises(InputError, match="names or bytes differ"):
        read_features(saved(), replace(photos, table=changed))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"features": np.zeros((4, 2), np.float32)}, r"features \(4, 2\) for paths \(123,\)"),
        ({"features": np.zeros(123, np.float32)}, r"features \(123,\)"),
        ({"paths": np.array([{}], dtype=object)}, "does not hold paths"),
    ],
)
def test_features_of_another_form_are_refused(saved, photos, given, message):
    with pytest.raises(InputError, match=message):
        read_features(saved(**given), photos)


@pytest.mark.parametrize("content", [None, b"", b"PK\3\4", b"no archive"])
def test_a_file_that_is_missing_or_none_is_refused(tmp_path, photos, content):
    if content is not None:
        (tmp_path / "features.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"features\.npz"):
        read_features(tmp_path, photos)


def test_a_file_without_what_is_needed_is_refused(tmp_path, photos):
    np.savez(tmp_path / "features.npz", paths=np.array(["a"]))
    with pytest.raises(InputError, match="does not hold paths, features and checksum"):
        read_features(tmp_path, photos)
