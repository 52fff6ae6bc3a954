from dataclasses import replace

import numpy as np
import pytest
from photo_tables import REAL, SETS, collection, fill, pets

from ssgan_core.errors import InputError
from ssgan_core.photos.files import scan
from ssgan_core.photos.labels import choose_labeled, draw_labeled, moved_in_words
from ssgan_core.photos.labels_csv import read_labeled
from ssgan_core.photos.splits import split_photos


@pytest.fixture(scope="module")
def photos():
    """60 cats, 60 dogs, two pairs of twins (one of them contradictory), a photo of no class."""
    extra = [("cat.twin.jpg", 0, "cat.3.jpg"), ("dog.twin.jpg", 1, "cat.4.jpg")]
    return split_photos(collection([*pets(60), *extra, ("test/1.jpg", -1)]))


def training(photos, label):
    """Names of training photos that have no twin, in order."""
    table = photos.table[~photos.table["digest"].duplicated(keep=False)]
    return table["path"][(table["split"] == "train") & (table["label"] == label)].tolist()


@pytest.fixture
def written(tmp_path):
    def write(*lines, header="path,label"):
        file = tmp_path / "mine.csv"
        file.write_text("\n".join([header, *lines]) + "\n")
        return file

    return write


def good(photos, cats=3, dogs=3):
    names = [f"{path},cat" for path in training(photos, 0)[:cats]]
    return names + [f"{path},dog" for path in training(photos, 1)[:dogs]]


def fault(file, photos):
    with pytest.raises(InputError) as error:
        read_labeled(file, photos)
    assert str(file) in str(error.value)
    return str(error.value)


# drawing


def test_a_draw_is_balanced_from_training_and_repeatable(photos):
    labeled = draw_labeled(photos, 40, seed=5)
    assert np.bincount(labeled.labels).tolist() == [20, 20]
    assert set(photos.table["split"][labeled.rows]) == {"train"}
    assert photos.table["path"][labeled.rows].tolist() == list(labeled.paths)
    assert photos.table["label"][labeled.rows].tolist() == labeled.labels.tolist()
    assert labeled.paths == draw_labeled(photos, 40, seed=5).paths
    assert labeled.paths != draw_labeled(photos, 40, seed=6).paths
    assert set(draw_labeled(photos, 20, seed=5).paths) < set(labeled.paths)
    assert np.bincount(draw_labeled(photos, 5).labels).tolist() == [3, 2]


def test_a_draw_takes_one_of_twins_and_none_that_contradict(photos):
    # All there are: of the twins cat.3 and cat.twin one, of cat.4 and dog.twin neither.
    cats, dogs = (len(training(photos, label)) for label in (0, 1))
    taken = {c for seed in range(9) for c in draw_labeled(photos, 2 * min(cats, dogs), seed).paths}
    assert taken <= {*training(photos, 0), *training(photos, 1), "cat.3.jpg", "cat.twin.jpg"}
    with pytest.raises(InputError, match=rf"class 'cat' were asked for; {cats + 1} that fit"):
        draw_labeled(photos, 2 * (cats + 2))


def test_a_draw_follows_another_draw_hardly(photos):
    fewer = split_photos(collection(pets(59)))
    common = set(draw_labeled(fewer, 30).paths) & set(draw_labeled(photos, 30).paths)
    assert len(common) >= 25


def test_a_draw_from_the_article_layout():
    names = [(f"{folder}/{pet}_{i}.jpg", label) for folder in ("labeled", "train", "val", "test")
             for label, pet in enumerate(("cat", "dog")) for i in range(4)]  # fmt: skip
    splits = {"labeled": "labeled", "train": "unlabeled", "val": "val", "test": "test"}
    article = collection([(n, label, n, splits[n.split("/")[0]]) for n, label in names])
    labeled = draw_labeled(article, 16)
    assert {path.split("/")[0] for path in labeled.paths} == {"labeled", "train"}
    chosen = choose_labeled(article, draw_labeled(article, 4, seed=1))
    assert {s: len(chosen.rows(s)) for s in ("labeled", "unlabeled", "val", "test")} == {
        "labeled": 4, "unlabeled": 12, "val": 8, "test": 8
    }  # fmt: skip


@pytest.mark.parametrize("n", [0, 3, -1])
def test_a_draw_of_too_few(photos, n):
    with pytest.raises(InputError, match=f"^{n} labeled photos were asked for; at least two of"):
        draw_labeled(photos, n)


def test_a_collection_without_splits():
    with pytest.raises(InputError, match="call split_photos first"):
        draw_labeled(collection(pets(30)))


def test_what_is_written_is_read_back(photos, tmp_path):
    labeled = draw_labeled(photos, 20)
    file = tmp_path / "set.csv"
    file.write_text("an older set")
    labeled.write(file)
    assert file.read_text().startswith("path,label\ncat.")
    assert [p.name for p in tmp_path.iterdir()] == ["set.csv"]
    again = read_labeled(file, photos)
    assert again.paths == labeled.paths
    assert again.rows.tolist() == labeled.rows.tolist()
    assert again.labels.tolist() == labeled.labels.tolist()
    assert (again.source, again.warnings) == (str(file), ())
    with pytest.raises(InputError, match="cannot be written"):
        labeled.write(tmp_path / "no folder" / "set.csv")


def test_a_write_that_fails_leaves_the_older_set(photos, tmp_path, monkeypatch):
    file = tmp_path / "set.csv"
    file.write_text("an older set")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="no space left on the disk; the file from before is kept"):
        draw_labeled(photos, 20).write(file)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["an older set"]


def test_forms_that_people_write(photos, tmp_path):
    cats, dogs = training(photos, 0), training(photos, 1)
    file = tmp_path / "set.csv"
    file.write_bytes(
        "\ufeffPath, Label\r\n".encode()  # as spreadsheets do
        + f"{cats[0]},Cat\r\n\r\ntrain/{cats[1]},CAT\r\ntrain\\{dogs[0]}, dog\r\n".encode()
        + f'./{dogs[1]},dog\r\n"{dogs[2]}",dog\r\n'.encode()
    )
    assert set(read_labeled(file, photos).paths) == {*cats[:2], *dogs[:3]}


def test_paths_on_the_disk_serve_too(tmp_path):
    fill(tmp_path, [f"PetImages/{pet}/{i}.jpg" for pet in ("Cat", "Dog") for i in range(30)])
    microsoft = split_photos(scan(tmp_path))
    file = tmp_path / "set.csv"
    names = [training(microsoft, label)[i] for label in (0, 1) for i in (0, 1)]
    numbers = [name.split(".")[1] for name in names]
    file.write_text(
        f"path,label\nPetImages/Cat/{numbers[0]}.jpg,cat\n{names[1]},cat\n"
        f"PetImages/Dog/{numbers[2]}.jpg,dog\n{names[3]},dog\n"
    )
    assert set(read_labeled(file, microsoft).paths) == set(names)
    file.write_text(f"path,label\n{numbers[0]}.jpg,cat\n")
    assert "fits 2 photos; write its folder too, as cat." in fault(file, microsoft)


def test_a_folder_in_a_path_counts(tmp_path, written):
    """A file's name alone decides nothing where a path has a folder."""
    fill(tmp_path / "k", [f"train/{pet}.{i}.jpg" for pet in ("cat", "dog") for i in range(60)])
    fill(tmp_path / "k", [f"test1/{i}.jpg" for i in range(1, 90)])
    kaggle = split_photos(scan(tmp_path / "k"))
    number = {pet: [name.split(".")[1] for name in training(kaggle, label)]
              for label, pet in enumerate(("Cat", "Dog"))}  # fmt: skip
    rows = [f"PetImages/{pet}/{i}.jpg,{pet}" for pet in number for i in number[pet][:3]]
    assert set(read_labeled(written(*rows), kaggle).paths) == {
        f"{pet.lower()}.{i}.jpg" for pet in number for i in number[pet][:3]
    }
    for path in ("Dog/77.jpg", "other/1.jpg", "x/cat.1.jpg", "test1/cat.1.jpg", "train/1.jpg"):
        assert f"'{path}' is not among" in fault(written(f"{path},dog"), kaggle)
    for path in ("1.jpg", "test1/1.jpg", "test/1.jpg", "k/test1/1.jpg"):
        assert "has only 1 of class 'cat'" in fault(written(f"{path},cat"), kaggle), path

    fill(tmp_path / "m", [f"Cat/{i}.jpg" for i in range(60)])
    fill(tmp_path / "m", [f"Dog/{i}.jpg" for i in range(60) if i != 7])
    microsoft = split_photos(scan(tmp_path / "m"))
    assert "'Dog/7.jpg' is not among" in fault(written("Dog/7.jpg,dog"), microsoft)


def test_a_label_is_spelled_as_a_folder(tmp_path, written):
    fill(tmp_path, [f"{pet}/{i}.jpg" for pet in ("cats", "Dogs") for i in range(30)])
    photos = split_photos(scan(tmp_path))
    rows = [f"{path},{word}" for label, word in enumerate(("cats", "DOGS"))
            for path in training(photos, label)[:2]]  # fmt: skip
    assert len(read_labeled(written(*rows), photos)) == 4


def test_a_photo_of_unknown_class_may_be_labeled(photos, written):
    labeled = read_labeled(written(*good(photos), "test/1.jpg,dog"), photos)
    chosen = choose_labeled(photos, labeled)
    row = chosen.table.index[chosen.table["path"] == "test/1.jpg"][0]
    assert chosen.table["label"][row] == 1
    assert photos.table["label"][row] == -1


def faults_of_a_line(photos):
    cats = training(photos, 0)
    return [
        ("cat.99999.jpg,cat", "'cat.99999.jpg' is not among the photos in photos"),
        (f"{cats[9]},wolf", "'wolf' is not a class (accepted: cat, dog)"),
        (f"{cats[9]},dog", f"'{cats[9]}' is labeled dog but is a cat"),
        (f"{cats[0]},cat", f"'{cats[0]}' is a duplicate of line 2"),
        (f"./{cats[0]},cat", f"'./{cats[0]}' is a duplicate of line 2"),
        (f"/photos/{cats[9]},cat", "is absolute"),
        (f"C:\\photos\\{cats[9]},cat", "is absolute"),
        (f"../photos/{cats[9]},cat", "leaves the photo folder"),
        (f"{cats[9]}", "1 fields where path,label are expected"),
        (f"{cats[9]},cat,yes", "3 fields where path,label are expected; one that holds a separ"),
        (",cat", "the path is empty"),
        (f"{cats[9]},", "'' is not a class"),
    ]


@pytest.mark.parametrize("which", range(12))
def test_a_fault_is_named_with_its_line(photos, written, which):
    line, message = faults_of_a_line(photos)[which]
    found = fault(written(*good(photos), "", line), photos)  # 1 header, 6 rows, 1 blank
    assert f"has a fault: line 9: {message}" in found or (
        "has a fault: line 9: " in found and message in found
    )


def test_twins_in_a_set(photos, written):
    found = fault(written("cat.3.jpg,cat", *good(photos), "cat.twin.jpg,cat"), photos)
    assert "line 9: 'cat.twin.jpg' is byte-identical to line 2" in found


OWN = [("a/1.jpg", 0, "x", "train"), ("a/2.jpg", 0, "y", "train"), ("a/3.jpg", 0, "x", "test"),
       ("a/7.jpg", 0, "7", "test"), ("b/4.jpg", 1, "z", "train"), ("b/5.jpg", 1, "w", "train"),
       ("b/8.jpg", 1, "8", "val"), ("b/9.jpg", 1, "8", "val")]  # fmt: skip


def splits_of(photos, file):
    table = choose_labeled(photos, read_labeled(file, photos)).table
    return dict(zip(table["path"], table["split"], strict=True))


def test_a_labeled_photo_leaves_the_test_with_its_twins(written):
    photos = collection(OWN)
    rows = ["a/1.jpg,cat", "a/2.jpg,cat", "b/4.jpg,dog", "b/8.jpg,dog"]
    chosen = choose_labeled(photos, read_labeled(written(*rows), photos))
    assert dict(zip(chosen.table["path"], chosen.table["split"], strict=True)) == {
        "a/1.jpg": "labeled", "a/2.jpg": "labeled", "a/3.jpg": "unlabeled", "a/7.jpg": "test",
        "b/4.jpg": "labeled", "b/5.jpg": "unlabeled", "b/8.jpg": "labeled", "b/9.jpg": "unlabeled",
    }  # fmt: skip
    assert chosen.moved == {"test": 1, "val": 2}
    assert moved_in_words(chosen.moved) == "1 from test, 2 from val"
    assert "a/1.jpg" not in draw_labeled(collection([*OWN, ("a/6.jpg", 0, "v", "train")]), 4).paths


def test_what_a_set_names_for_validation_is_all_of_it(written):
    """The twins go along, and what was drawn for it goes to training; the test stays."""
    photos = collection([*OWN, ("a/6.jpg", -1, "y", "train")])
    rows = ["a/1.jpg,cat,", "a/7.jpg,cat,Labeled", "b/4.jpg,dog,labeled", "b/5.jpg,dog,",
            "a/2.jpg,cat,VAL"]  # fmt: skip
    file = written(*rows, header="path,label,split")
    chosen = choose_labeled(photos, read_labeled(file, photos))
    parts = {split: set(chosen.table["path"][chosen.rows(split)]) for split in ("val", "test")}
    assert parts == {"val": {"a/2.jpg", "a/6.jpg"}, "test": set()}
    assert chosen.table["label"][chosen.rows("val")].tolist() == [0, 0]
    assert chosen.moved == {"test": 2, "unlabeled": 2, "val": 2}
    read_labeled(file, photos).write(file)
    assert splits_of(photos, file) == dict(
        zip(chosen.table["path"], chosen.table["split"], strict=True)
    )


def test_splits_that_are_none(photos, written):
    cats = training(photos, 0)
    rows = [f"{row}," for row in good(photos)]
    header = "path,label,split"
    assert "line 8: 'train' is no split (accepted: labeled or nothing, val, test)" in fault(
        written(*rows, f"{cats[9]},cat,train", header=header), photos
    )
    twice = written(*rows, f"{cats[0]},cat,test", header=header)
    assert f"line 8: '{cats[0]}' is a duplicate of line 2" in fault(twice, photos)
    only = written(*rows[:4], *(f"{row}test" for row in rows[4:]), header=header)
    assert "has only 1 of class 'dog'; each class needs at least two to learn from" in fault(
        only, photos
    )


def unsorted(count=8):
    return split_photos(collection([(f"IMG_{i}.jpg", -1, i // 2) for i in range(count)], ()))


def test_photos_of_no_class_get_those_of_the_set(written):
    photos = unsorted(20)
    assert set(photos.table["split"]) == {"train"}
    names = ("Wolf", "fox", "BEAR", "wolf", "Fox", "bear", "fox", "wolf", "bear")
    rows = [f"IMG_{2 * i}.jpg,{name}," for i, name in enumerate(names)]
    file = written(*rows[:7], f"{rows[7]}val", f"{rows[8]}test", header="path,label,split")
    labeled = read_labeled(file, photos)
    assert labeled.classes == ("bear", "fox", "wolf") and len(labeled) == 9
    chosen = choose_labeled(photos, labeled)
    assert chosen.classes == labeled.classes
    assert {s: len(chosen.rows(s)) for s in ("labeled", "unlabeled", "val", "test")} == {
        "labeled": 7, "unlabeled": 9, "val": 2, "test": 2
    }  # fmt: skip
    assert chosen.table["label"][chosen.rows("test")].tolist() == [0, 0]
    assert set(chosen.table["label"][chosen.rows("unlabeled")]) == {-1}
    assert chosen.moved == {"unlabeled": 4}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fox", "fox"], "names no class but fox; two or more are needed"),
        (["fox", "fox", "wolf"], "has only 1 of class 'wolf'; each class needs at least two"),
        (["fox", "fox", "wolf", ""], "has a fault: line 5: the label is empty"),
    ],
)
def test_classes_that_a_set_may_not_name(written, words, message):
    assert message in fault(written(*(f"IMG_{2 * i}.jpg,{w}" for i, w in enumerate(words))),
                            unsorted())  # fmt: skip


def test_no_labels_are_drawn_where_no_class_is_known():
    with pytest.raises(InputError, match=r"^No class is known of the photos in photos, .*; label "
                       r"some in a CSV \(path,label\)"):  # fmt: skip
        draw_labeled(unsorted(), 4)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_as_spreadsheets_write_them(photos, tmp_path, separator, encoding):
    names = [training(photos, label)[i] for label in (0, 1) for i in (0, 1)]
    table = [["Nr", "Label", "Path", ""], *([i, f"{n[:3].upper()}", f"./{n}", ""]
             for i, n in enumerate(names))]  # fmt: skip
    lines = [separator.join(f'"{field}"' for field in row) for row in table]
    file = tmp_path / "set.csv"
    file.write_bytes(("\r\n".join(lines) + "\r\n" + 3 * separator).encode(encoding))
    labeled = read_labeled(file, photos)
    assert set(labeled.paths) == set(names)
    assert labeled.warnings == (f"The labeled set {file} has columns without use: nr.",)


def test_quoted_separators_and_absolute_paths(tmp_path, monkeypatch):
    root = fill(tmp_path / "all my, photos", [f"{pet}/{i}, old.jpg" for pet in ("cat", "dog")
                                              for i in range(30)])  # fmt: skip
    photos, file = split_photos(scan(root)), tmp_path / "set.csv"
    (tmp_path / "link").symlink_to(root)
    monkeypatch.setenv("HOME", str(tmp_path))
    start = (str(root), str(tmp_path / "link"), "~/all my, photos", ".")
    names = [f"{pet}/{i}, old.jpg" for pet in ("cat", "dog") for i in (0, 1)]
    rows = [f'"{above}/{name}",{name[:3]}' for above, name in zip(start, names, strict=True)]
    file.write_text("\n".join(["path,label", *rows]))
    assert set(read_labeled(file, split_photos(scan(tmp_path / "link"))).paths) == set(names)
    assert "line 3: " in (found := fault(file, photos)) and "has a fault" in found
    assert f"/link/cat/1, old.jpg' is absolute and not below {root}; paths are" in found


def test_several_headers_of_one_name_are_refused(photos, written):
    header = "path,label,label"
    assert "begins with 'path,label,label'; the header" in fault(written(header=header), photos)


def test_all_faults_are_listed(photos, written):
    lines = [f"cat.{i}.png,cat" for i in range(8)]
    found = fault(written(*lines), photos)
    assert "has 8 faults: line 2: " in found
    assert [f"line {n}: 'cat.{n - 2}.png'" in found for n in range(2, 10)] == [True] * 8


def test_a_quoted_field_over_two_lines_counts_as_two(photos, written):
    found = fault(written(*good(photos), '"a', 'b.jpg",cat', "", "none.jpg,cat"), photos)
    assert "has 2 faults: line 8: 'a\nb.jpg' is not among" in found
    assert "; line 11: 'none.jpg' is not among" in found


def test_a_quote_that_does_not_end_is_no_csv(photos, written):
    assert "is not CSV from line 8 on (" in fault(
        written(*good(photos), '"a.jpg,cat', "b.jpg,dog", "c.jpg,dog"), photos
    )
    assert "is not CSV from line 1 on (" in fault(written("a.jpg,cat", header='"path'), photos)


def test_classes_must_all_be_there_twice(photos, written):
    assert "has only 0 of class 'dog'; each class needs at least two" in fault(
        written(*good(photos, 3, 0)), photos
    )
    assert "has only 1 of class 'cat'; each" in fault(written(*good(photos, 1, 3)), photos)


def test_imbalance_is_a_warning(photos, written):
    assert read_labeled(written(*good(photos, 8, 2)), photos).warnings == ()
    (warning,) = read_labeled(written(*good(photos, 9, 2)), photos).warnings
    assert "is unbalanced: 9 cat, 2 dog" in warning


def test_files_that_are_no_labeled_set(photos, written, tmp_path):
    assert "cannot be read: No such file" in fault(tmp_path / "none.csv", photos)
    assert "cannot be read: Is a directory" in fault(tmp_path, photos)
    assert "begins with 'file,class'; the header 'path,label'" in fault(
        written(*good(photos), header="file,class"), photos
    )
    assert "begins with 'path|label'" in fault(written(header="path|label"), photos)
    assert "has a header but no row" in fault(written("", " , "), photos)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    assert "is empty" in fault(empty, photos)
    empty.write_bytes(b"path,label\n\xff\xfe,cat\n")
    assert "is not CSV in UTF-8" in (found := fault(empty, photos))
    assert "; save it as 'CSV UTF-8'." in found


# using


def test_choosing_divides_the_training_split(photos):
    labeled = draw_labeled(photos, 20)
    chosen = choose_labeled(photos, labeled)
    assert chosen.rows("labeled").tolist() == labeled.rows.tolist()
    assert len(chosen.rows("unlabeled")) == len(photos.rows("train")) - 20
    for split in ("val", "test"):
        assert chosen.rows(split).tolist() == photos.rows(split).tolist()
    assert len(photos.rows("labeled")) == 0
    other = choose_labeled(chosen, draw_labeled(chosen, 20, seed=1))
    assert len(other.rows("labeled")) == 20


def test_choosing_finds_photos_by_name(photos):
    labeled = draw_labeled(photos, 20)
    rest = photos.table.drop(index=[0, 7]).reset_index(drop=True)
    fewer = replace(photos, table=rest)
    if {photos.table["path"][0], photos.table["path"][7]}.isdisjoint(labeled.paths):
        chosen = choose_labeled(fewer, labeled)
        assert set(chosen.table["path"][chosen.rows("labeled")]) == set(labeled.paths)
    gone = photos.table.drop(index=[labeled.rows[0]]).reset_index(drop=True)
    with pytest.raises(InputError, match=f"'{labeled.paths[0]}' .* is not among the photos"):
        choose_labeled(replace(photos, table=gone), labeled)


# the sets that the book ships

RANDOM = [f"dogs_vs_cats_random_{seed:02d}.csv" for seed in range(10)]
SHIPPED = [*RANDOM, "dogs_vs_cats_representative.csv", "dogs_vs_cats_curated.csv"]


@pytest.fixture(scope="module")
def real():
    if not REAL.exists():
        pytest.skip("the real photos are not here")
    return split_photos(scan(REAL))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_set_fits_the_real_photos(real, name):
    labeled = read_labeled(SETS / name, real)
    assert np.bincount(labeled.labels).tolist() == [50, 50]
    assert labeled.warnings == ()


def test_shipped_random_sets_are_the_draws(real):
    for seed, name in enumerate(RANDOM):
        assert read_labeled(SETS / name, real).paths == draw_labeled(real, 100, seed).paths


def test_shipped_sets_fit_all_of_kaggle():
    kaggle = split_photos(collection(pets(12_500)))
    for name in SHIPPED:
        assert len(read_labeled(SETS / name, kaggle)) == 100
