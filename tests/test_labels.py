"""The command of labeled sets: draw one, explain every fault of one, mend it, look at it."""

import shutil

import numpy as np
import pytest
from photo_tables import fill
from PIL import Image

from ssgan_core import labels
from ssgan_core.labeling.candidates import candidates
from ssgan_core.labels import contact_sheet, main
from ssgan_core.pets.collection import draw_pets
from ssgan_core.photos.files import scan
from ssgan_core.photos.labels import draw_labeled
from ssgan_core.photos.labels_csv import read_labeled
from ssgan_core.photos.splits import split_photos


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """40 cats and 40 dogs, of which one is broken."""
    folder = draw_pets(tmp_path_factory.mktemp("data") / "pets", 80, 32, workers=1)
    photos = split_photos(scan(folder))
    spare = {photos.table["path"][row] for row in photos.rows("train")}
    (folder / max(spare - {*draw_labeled(photos, 10, seed=1).paths})).write_bytes(b"GIF89a")
    return folder


@pytest.fixture
def mine(pets, tmp_path):
    """A set without faults, its lines and the photos."""
    photos = split_photos(scan(pets))
    draw_labeled(photos, 10, seed=1).write(tmp_path / "mine.csv")
    return tmp_path / "mine.csv", (tmp_path / "mine.csv").read_text().splitlines(), photos


def test_draw(tmp_path, capsys):
    folder = fill(tmp_path / "pets", [f"{p}/{i}.jpg" for p in ("cat", "dog") for i in range(40)])
    out = tmp_path / "my.csv"
    assert main(["draw", str(folder), "--count", "10", "--seed", "3", "--out", str(out)]) == 0
    assert "5 cat, 5 dog of 80 photos" in capsys.readouterr().out
    labeled = read_labeled(out, photos := split_photos(scan(folder)))
    assert labeled.paths == draw_labeled(photos, 10, seed=3).paths


def test_draw_refuses_a_folder_without_photos(tmp_path, capsys):
    out = tmp_path / "my.csv"
    assert main(["draw", str(tmp_path), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: The photo folder") and error.count("\n") == 1
    assert not out.exists()


def test_check_says_what_a_set_is_used_for(mine, pets, capsys):
    file, lines, photos = mine
    tested = photos.table["path"][photos.rows("test")[0]]
    file.write_text("\n".join([*lines, f"{tested},{tested[:3]}"]))
    assert main(["check", str(file), "--photos", str(pets)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: {'6 cat, 5 dog' if tested.startswith('cat') else '5 cat, 6 dog'} to learn from",
        "validation 8 photos, test 7, 54 without a label",
        "the labeled set moves photos: 1 from test",
    ]


def test_check_names_every_fault_and_fix_writes_the_rest(mine, pets, tmp_path, capsys):
    file, lines, photos = mine
    broken = next(p for p in photos.table["path"] if (pets / p).read_bytes() == b"GIF89a")
    faulty = ["none.jpg,cat", f"{lines[1].split(',')[0]},cat", "", f"{broken},{broken[:3]}"]
    file.write_text("\n".join([*lines, *faulty]))
    before = file.read_bytes()
    command = ["check", str(file), "--photos", str(pets)]
    assert main(command) == 2
    assert capsys.readouterr().out.splitlines() == [
        f"{file}: line 12: 'none.jpg' is not among the photos in {pets}",
        f"{file}: line 13: '{lines[1].split(',')[0]}' is a duplicate of line 2",
        f"{file}: line 15: '{broken}' is a GIF file, not a JPEG",
    ]
    out = tmp_path / "mended.csv"
    assert main([*command, "--fix", str(out)]) == 2
    assert capsys.readouterr().out.splitlines()[-1] == f"{out}: the 10 rows without a fault"
    assert out.read_text().splitlines() == lines
    assert main(["check", str(out), "--photos", str(pets)]) == 0
    (tmp_path / "link.csv").symlink_to(file)
    for same in (file, tmp_path / "link.csv"):
        assert main([*command, "--fix", str(same)]) == 2
        assert "the set itself; give another file" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_check_tells_of_a_class_that_is_not_labeled(mine, pets, tmp_path, capsys):
    file, lines, _ = mine
    cats = [line for line in lines if line.endswith(",cat")]
    file.write_text("\n".join(["path,label", *cats, "none.jpg,dog"]))
    assert main(["check", str(file), "--photos", str(pets)]) == 2
    assert capsys.readouterr().out.splitlines()[1] == (
        f"{file}: the set has only 0 of class 'dog'; each class needs at least two to learn from"
    )
    file.write_text("path,label\nnone.jpg,dog\n")
    out = tmp_path / "mended.csv"
    assert main(["check", str(file), "--photos", str(pets), "--fix", str(out)]) == 2
    assert "has no row without a fault" in capsys.readouterr().err and not out.exists()


@pytest.mark.parametrize(
    "command",
    [
        ["choose", "PETS", "--by", "random", "--count", "4"],
        ["show", "SET", "--photos", "PETS"],
    ],
)
def test_a_labeled_set_is_not_overwritten_by_what_is_none(command, pets, tmp_path, capsys):
    file = tmp_path / "mine.csv"
    assert main(["draw", str(pets), "--count", "4", "--out", str(file)]) == 0
    written = file.read_bytes()
    places = {"PETS": str(pets), "SET": str(file)}
    assert main([places.get(word, word) for word in command] + ["--out", str(file)]) == 2
    assert "mine.csv cannot be written: its name ends in '.csv'" in capsys.readouterr().err
    assert file.read_bytes() == written


def test_a_sheet_is_chosen_from_as_many_photos_as_it_says(pets, tmp_path, capsys):
    """Few features: clusters too small to give a photo count as candidates all the same."""
    photos = split_photos(scan(pets))
    rows = candidates(photos)[:40]
    features = np.random.default_rng(0).normal(size=(len(rows), 8)).astype(np.float32)
    given = ["choose", str(pets), "--count", "5", "--features", "x", "--out"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "read_features", lambda *_: (rows, features))
        assert main([*given, str(tmp_path / "sheet.html")]) == 0
    assert ": 5 of 40 photos" in capsys.readouterr().out


def test_a_sheet_shows_each_photo_above_its_label(pets, tmp_path):
    """Photos of three classes in a flat folder; words that matplotlib would read as formulas."""
    flat, file, out = tmp_path / "flat", tmp_path / "mine.csv", tmp_path / "sheet.png"
    flat.mkdir()
    cats = sorted((pets / "cat").glob("*.jpg"))[:16]
    for i, photo in enumerate(cats):
        shutil.copy(photo, flat / f"a photo with a long name {i}.jpg")
    names = ["$5", "b$_c$", "fox"]
    rows = [f"a photo with a long name {i}.jpg,{names[i % 3]},{'val' if i == 15 else ''}"
            for i in range(16)]  # fmt: skip
    file.write_text("\n".join(["path,label,split", *rows]))
    assert main(["show", str(file), "--photos", str(flat), "--out", str(out)]) == 0
    sheet = np.asarray(Image.open(out).convert("RGB"))
    assert sheet.std() > 20 and sheet.shape[1] > 1000
    photos = split_photos(scan(flat))
    panels = contact_sheet(photos, read_labeled(file, photos)).axes
    assert [panel.get_title(loc="left") for panel in panels] == ["$5: 6", "b$_c$: 5", "fox: 5"]
    words = [text.get_text() for panel in panels for text in panel.texts]
    assert len(words) == 16 and words[0] == "$5\na photo …e 0.jpg"
    assert [word for word in words if "val" in word] == ["$5, val\na photo … 15.jpg"]


def test_a_command_that_is_none(capsys):
    assert main(["chek"]) == 2
    assert "invalid choice: 'chek'" in capsys.readouterr().err
