import hashlib
import io
import os
import tarfile

import numpy as np
import pytest
from photo_tables import REAL, fill

from ssgan_core.errors import InputError
from ssgan_core.photos.files import counted, scan

KAGGLE = {f"{pet}.{i}.jpg": f"{pet} {i}" for pet in ("cat", "dog") for i in range(3)}


def shard(file, members):
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
    return file


def paths(photos):
    return photos.table["path"].tolist()


def named(photos):
    """Path to class name and split."""
    table = photos.table
    words = [photos.classes[label] if label >= 0 else None for label in table["label"]]
    return dict(zip(table["path"], zip(words, table["split"], strict=True), strict=True))


@pytest.fixture
def kaggle(tmp_path):
    return fill(tmp_path / "kaggle", KAGGLE)


# what is found


def test_kaggle_flat(kaggle):
    photos = scan(kaggle)
    assert paths(photos) == sorted(KAGGLE)
    assert photos.classes == ("cat", "dog")
    assert photos.table["label"].tolist() == [0, 0, 0, 1, 1, 1]
    assert set(photos.table["split"]) == {""}
    assert photos.layout.startswith("Kaggle")
    assert photos.table["digest"][0] == hashlib.sha256(b"cat 0").hexdigest()
    assert [photos.read(row) for row in range(6)] == [KAGGLE[p].encode() for p in paths(photos)]


@pytest.mark.parametrize("packaging", ["train", "shards", "shard of train", "microsoft"])
def test_the_same_photos_are_the_same_collection_in_any_packaging(kaggle, tmp_path, packaging):
    other = tmp_path / "other"
    if packaging == "train":
        fill(other, {f"train/{name}": content for name, content in KAGGLE.items()})
    elif packaging == "microsoft":
        names = {f"Cat/{i}.jpg": f"cat {i}" for i in range(3)}
        names |= {f"Dog/{i}.jpg": f"dog {i}" for i in range(3)}
        fill(other, {f"PetImages/{name}": content for name, content in names.items()})
        assert scan(other / "PetImages").checksum == scan(other).checksum
    elif packaging == "shards":
        other.mkdir()
        shard(other / "b.tar", {k: v for k, v in KAGGLE.items() if "cat" in k})
        shard(other / "a.tar", {f"./{k}": v for k, v in KAGGLE.items() if "dog" in k})
    else:
        other.mkdir()
        shard(other / "all.tar", {f"train/{name}": content for name, content in KAGGLE.items()})
    first, second = scan(kaggle), scan(other)
    columns = ["path", "label", "split", "digest"]
    assert first.table[columns].equals(second.table[columns])
    assert first.checksum == second.checksum
    assert [second.read(row) for row in range(6)] == [first.read(row) for row in range(6)]


@pytest.mark.parametrize("folder", ["test", "test1"])
def test_kaggle_test_photos_have_no_class(kaggle, folder):
    fill(kaggle, [f"{folder}/1.jpg", f"{folder}/2.jpg"])
    photos = scan(kaggle)
    assert photos.table["label"].value_counts().to_dict() == {0: 3, 1: 3, -1: 2}
    assert photos.table["path"][photos.table["label"] == -1].tolist() == [
        "test/1.jpg",
        "test/2.jpg",
    ]


def test_the_article_keeps_its_splits(tmp_path):
    fill(tmp_path, ["labeled/cat_1.jpg", "labeled/dog_1.jpg", "train/xcat_7.jpg",
                    "train/xdog_7.jpg", "val/cat_2.jpg", "test/dog_3.jpg"])  # fmt: skip
    assert named(scan(tmp_path)) == {
        "labeled/cat_1.jpg": ("cat", "labeled"),
        "labeled/dog_1.jpg": ("dog", "labeled"),
        "train/xcat_7.jpg": ("cat", "unlabeled"),
        "train/xdog_7.jpg": ("dog", "unlabeled"),
        "val/cat_2.jpg": ("cat", "val"),
        "test/dog_3.jpg": ("dog", "test"),
    }


def test_one_folder_a_class(tmp_path):
    fill(tmp_path, ["Cats/00001.jpg", "Cats/b.JPEG", "dog/00001.jpg", "attributes.csv"])
    photos = scan(tmp_path)
    assert named(photos) == {
        "Cats/00001.jpg": ("cat", ""), "Cats/b.JPEG": ("cat", ""), "dog/00001.jpg": ("dog", "")
    }  # fmt: skip
    assert photos.unused == {".csv": 1}
    assert photos.layout.startswith("one folder a class")


def test_oxford_pets_by_their_capitals(tmp_path):
    files = ["Abyssinian_1.jpg", "British_Shorthair_12.jpg", "american_bulldog_3.jpg", "pug_9.jpg"]
    fill(tmp_path, [f"oxford-iiit-pet/images/{file}" for file in files])
    fill(tmp_path, ["oxford-iiit-pet/annotations/trimaps/pug_9.png"])
    for root in (tmp_path, tmp_path / "oxford-iiit-pet", tmp_path / "oxford-iiit-pet" / "images"):
        photos = scan(root)
        assert photos.layout.startswith("Oxford")
        assert {path: label for path, (label, _) in named(photos).items()} == dict(
            zip(files, ("cat", "cat", "dog", "dog"), strict=True)
        )


@pytest.mark.parametrize(
    "files",
    [
        ["IMG_0001.jpg", "dsc_2.jpg", "holiday.JPG"],
        ["2021/05/IMG_1.jpg", "2021/06/IMG_1.jpg", "IMG_1.jpg"],
        ["camera/1.jpg", "camera/2.jpg"],
        ["test1/1.jpg", "test1/2.jpg"],
        ["train/1.jpg", "val/2.jpg"],
    ],
)
def test_photos_of_which_no_layout_tells_a_class(tmp_path, files):
    photos = scan(fill(tmp_path, files))
    assert photos.classes == () and set(photos.table["label"]) == {-1}
    assert set(photos.table["split"]) == {""} and len(photos) == len(files)
    known = "Kaggle" if files[0].startswith("test1") else "photos of unknown class"
    assert photos.layout.startswith(known)


def test_what_is_no_photo_is_left_out_and_counted(kaggle):
    fill(kaggle, ["notes.txt", "cat.9.PNG", "cat.8.jpg.part", "cat.7.HEIC", "cat.6.heic", "README"])
    fill(kaggle, ["a/b/c/cat.5.jpg", "a/b/d/cat.4.jpg"])
    fill(kaggle, ["._cat.0.jpg", ".hidden/cat.7.jpg", "__MACOSX/cat.6.jpg", "Thumbs.db"])
    (kaggle / "cat.3.jpg").symlink_to("nowhere")
    os.mkfifo(kaggle / "cat.11.jpg")
    (kaggle / os.fsdecode(b"\xe9cat.12.jpg")).write_bytes(b"x")
    photos = scan(kaggle)
    assert paths(photos) == sorted(KAGGLE)
    assert photos.unused == {
        ".part": 1, ".png": 1, ".txt": 1, ".heic": 2, "broken link": 1, "special file": 1,
        "folder more than 2 down": 2, "with a name that is no UTF-8": 1, "without an ending": 1,
    }  # fmt: skip
    assert counted(photos.unused).startswith("2 .heic, 1 .part, 1 .png, 1 .txt, 1 broken link")


def test_every_ending_of_a_jpeg_counts(tmp_path):
    fill(tmp_path, ["cat.0.jpg", "cat.1.jfif", "cat.2.JPE", "dog.0.jpeg", "dog.1.JFIF"])
    assert len(scan(tmp_path)) == 5
    assert scan(tmp_path).unused == {}


def test_folders_of_splits_with_folders_of_classes(tmp_path):
    fill(tmp_path, ["train/cats/1.jpg", "Train/Dogs/2.jpg", "validation/cat/3.jpg",
                    "test/dog/4.jpg"])  # fmt: skip
    assert named(scan(tmp_path)) == {
        "train/cats/1.jpg": ("cat", "train"), "Train/Dogs/2.jpg": ("dog", "train"),
        "validation/cat/3.jpg": ("cat", "val"), "test/dog/4.jpg": ("dog", "test"),
    }  # fmt: skip


def test_litter_in_a_shard_is_left_out(tmp_path):
    shard(tmp_path / "a.tar", {**KAGGLE, "._cat.0.jpg": "x", "__MACOSX/cat.0.jpg": "x"})
    assert paths(scan(tmp_path)) == sorted(KAGGLE)


def test_checksum_sees_names_and_bytes(kaggle):
    before = scan(kaggle).checksum
    (kaggle / "cat.0.jpg").write_text("another cat")
    changed = scan(kaggle).checksum
    (kaggle / "cat.0.jpg").write_text(KAGGLE["cat.0.jpg"])
    assert changed != before == scan(kaggle).checksum
    (kaggle / "cat.0.jpg").rename(kaggle / "cat.10.jpg")
    assert scan(kaggle).checksum != before


def test_many_files_are_hashed_in_order(tmp_path):
    names = {f"{pet}.{i}.jpg": "x" * (i % 7) + f"{pet}{i}" for pet in ("cat", "dog")
             for i in range(700)}  # fmt: skip
    fill(tmp_path, names)
    table = scan(tmp_path).table
    expected = [hashlib.sha256(names[path].encode()).hexdigest() for path in table["path"]]
    assert table["digest"].tolist() == expected


def test_rows_of_a_split(tmp_path):
    fill(tmp_path, ["labeled/cat_1.jpg", "labeled/dog_1.jpg", "train/cat_2.jpg", "val/cat_3.jpg",
                    "test/dog_3.jpg"])  # fmt: skip
    rows = scan(tmp_path).rows("labeled")
    assert rows.dtype == np.int64
    assert rows.tolist() == [0, 1]


# what is refused


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no JPEG photograph .* there: nothing"),
        (["cat.0.png", "a/b/c/cat.0.jpg"], "no JPEG .* there: 1 .png, 1 folder more than 2 down"),
        (["cat.0.jpg", "cat.1.jpg"], "only photos of 'cat'"),
        (["Cat/1.jpg", "Cat/2.jpg"], "only photos of 'cat'"),
        (["IMG_1.jpg", "a/IMG_2.jpg", "b/IMG_3.jpg"], "'IMG_1.jpg'.* does not fit the layout"),
        (["2021/05/IMG_1.jpg", "cat.1.jpg"], "'2021/05/IMG_1.jpg'.* are of unknown class"),
        (["cat.0.jpg", "dog.0.jpg", "cat.1 (copy).jpg"], r"'cat\.1 \(copy\)\.jpg'.* does not fit"),
        (["cat.0.jpg", "dog.0.jpg", "train/cat.0.jpg"], "'cat.0.jpg' twice"),
        (["labeled/cat_1.jpg", "labeled/dog_1.jpg", "train/dog_1.jpg"], "no photo in val or test/"),
    ],
)
def test_a_folder_that_cannot_be_used(tmp_path, files, message):
    fill(tmp_path, files)
    with pytest.raises(InputError, match=message) as error:
        scan(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_missing_folder_and_a_file(tmp_path):
    with pytest.raises(InputError, match="'/no/such/folder' does not exist"):
        scan("/no/such/folder")
    with pytest.raises(InputError, match="does not exist"):
        scan("")
    fill(tmp_path, ["cat.0.jpg"])
    with pytest.raises(InputError, match="is a file; a folder is accepted"):
        scan(tmp_path / "cat.0.jpg")


def test_shards_that_cannot_be_read(tmp_path):
    file = shard(tmp_path / "a.tar", {"cat.0.jpg": "x" * 5000, "dog.0.jpg": "y" * 5000})
    whole = file.read_bytes()
    second = 512 + 5120 + 512  # where the bytes of the second photo begin
    for cut in (0, 100, 3000, second - 100, second, second + 1000, second + 4999):
        file.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"a\.tar is not a complete"):
            scan(tmp_path)
    file.write_bytes(b"no archive at all" * 100)
    with pytest.raises(InputError, match=r"a\.tar is not a complete, uncompressed tar archive"):
        scan(tmp_path)


def test_archives_behind_one_another_are_read_to_the_end(kaggle, tmp_path):
    """`cat 1.tar 2.tar > all.tar`; what tarfile alone would take for the end is an error."""
    cats, dogs = ({k: v for k, v in KAGGLE.items() if pet in k} for pet in ("cat", "dog"))
    first = shard(tmp_path / "1", cats).read_bytes()
    second = shard(tmp_path / "2", dogs).read_bytes()
    folder = tmp_path / "shards"
    folder.mkdir()
    all_of_them = folder / "all.tar"
    all_of_them.write_bytes(first + second + bytes(512))
    photos = scan(folder)
    assert photos.checksum == scan(kaggle).checksum
    assert [photos.read(row) for row in range(6)] == [KAGGLE[p].encode() for p in paths(photos)]
    damaged = bytearray(first)
    damaged[1024 + 10] ^= 255  # in the second member's header
    for data in (first + second[:-10240] + b"x" * 512, bytes(damaged), first + b"junk"):
        all_of_them.write_bytes(data)
        with pytest.raises(InputError, match=r"all\.tar is not a complete.*damaged header at byte"):
            scan(folder)


def test_links_and_depth_in_a_shard_are_as_in_a_folder(tmp_path):
    unpacked = fill(tmp_path / "folder", KAGGLE)
    (unpacked / "dog.3.jpg").symlink_to("cat.0.jpg")
    (unpacked / "dog.4.jpg").hardlink_to(unpacked / "cat.1.jpg")
    (unpacked / "dog.5.jpg").symlink_to("gone.jpg")
    fill(unpacked, ["a/b/c/d.jpg", "a/b/c/e.jpg", "notes.txt"])
    (tmp_path / "shards").mkdir()
    with tarfile.open(tmp_path / "shards" / "all.tar", "w") as archive:
        archive.add(unpacked, ".")
    one, two = scan(unpacked), scan(tmp_path / "shards")
    assert one.checksum == two.checksum
    assert len(one) == 8
    assert one.unused == two.unused == {"broken link": 1, ".txt": 1, "folder more than 2 down": 1}


def test_the_same_photo_in_two_shards(tmp_path):
    shard(tmp_path / "a.tar", KAGGLE)
    shard(tmp_path / "b.tar", {"cat.0.jpg": "again"})
    with pytest.raises(InputError, match=r"twice: as cat\.0\.jpg in .*a\.tar and .* in .*b\.tar"):
        scan(tmp_path)


def test_a_photo_that_changed_after_the_scan(kaggle):
    photos = scan(kaggle)
    (kaggle / "cat.0.jpg").write_text("c")
    with pytest.raises(InputError, match="has changed since it was scanned: 1 bytes of 5"):
        photos.read(0)
    (kaggle / "cat.0.jpg").unlink()
    with pytest.raises(InputError, match="can no longer be read"):
        photos.read(0)


@pytest.mark.skipif(not REAL.exists(), reason="the real photos are not here")
def test_the_real_photos():
    photos = scan(REAL)
    assert len(photos) == 23_998
    assert np.bincount(photos.table["label"]).tolist() == [11_999, 11_999]
    assert photos.table["digest"].duplicated().sum() == 20
    for row in (0, 12_345, 23_997):
        data = photos.read(row)
        assert data.startswith(b"\xff\xd8")
        assert hashlib.sha256(data).hexdigest() == photos.table["digest"][row]
