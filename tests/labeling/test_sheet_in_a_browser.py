"""The sheet as a person uses it, in headless Chromium: label, undo, reload, export, train."""

import json
import re
import shlex
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from headless import barriers

from ssgan_core.labeling.sheet import write_sheet
from ssgan_core.labels import main
from ssgan_core.pets.collection import draw_pets
from ssgan_core.photos.files import scan
from ssgan_core.photos.labels_csv import read_labeled
from ssgan_core.photos.splits import split_photos
from ssgan_core.train import main as train

COUNT = 12
TINY = shlex.split("--profile smoke --size 32 --width 8 --generator-width 16 --evaluations 1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_pets(tmp_path_factory.mktemp("data") / "pets", 80, 32, workers=1)


@pytest.fixture(scope="module")
def sheet(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("sheets") / "mine.html"
    line = ["choose", str(folder), "--count", str(COUNT), "--by", "random", "--out", str(out)]
    assert main(line) == 0
    return out


@pytest.fixture
def opened(opened):
    """Opens a sheet, which may make the file that it exports."""
    return partial(opened, accepted=("file:", "data:", "blob:"))


def paths(page, place=0):
    """Names of the photos of all slots: what is shown at first, or what replaces it."""
    return page.evaluate(f"data.photos.map(slot => slot[{place}].path)")


def label_all(page):
    """Press for each photo the key of the class that its name tells."""
    for path in paths(page):
        page.keyboard.press("1" if path.startswith("cat") else "2")


def pressed(page, *keys):
    for key in keys:
        page.keyboard.press(key)
    return page.inner_text("#status")


def labels(page):
    return page.evaluate("state.slots.map(slot => slot.label)")


def exported(page, to):
    with page.expect_download() as download:
        page.click("#export")
    file = to / download.value.suggested_filename
    download.value.save_as(file)
    assert file.read_text("utf-8") == page.input_value("#csv")
    return file


def test_label_all_by_keyboard_export_and_train(opened, sheet, folder, tmp_path):
    page = opened(sheet)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == (
        f"Photo 1 of {COUNT}, not labeled"
    )
    label_all(page)
    names = paths(page)
    cats = sum(name.startswith("cat") for name in names)
    assert page.inner_text("#export") == f"Export CSV: {COUNT} of {COUNT} labeled"
    assert page.inner_text("#classes button:first-child").split() == ["1", "cat", str(cats)]
    file = exported(page, tmp_path)
    assert file.name == "mine.csv" and page.inner_text("#faults") == ""
    assert page.inner_text("#command").endswith(f"-p photos {folder} -p labeled_set mine.csv")
    photos = split_photos(scan(folder))
    labeled = read_labeled(file, photos)
    assert set(labeled.paths) == set(names)
    assert (labeled.labels == photos.table["label"].to_numpy()[labeled.rows]).all()
    options = ["--photos", str(folder), "--labeled-set", str(file), "--steps", "2"]
    assert train([*TINY, *options, "--out", str(tmp_path / "run")]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["settings"]["labeled_set"] == str(file)


def test_the_sheet_has_no_barrier(opened, sheet):
    for scheme in ("light", "dark"):
        page = opened(sheet, viewport={"width": 375, "height": 800}, color_scheme=scheme)
        pressed(page, "1", "2", "x")
        assert barriers(page) == []


def test_undo_takes_back_step_by_step(opened, sheet):
    page = opened(sheet)
    assert pressed(page, "1", "2", "x", "1").startswith("Photo 3: cat (2 of this class). 3 of 12")
    assert labels(page)[:4] == [0, 1, 0, None]
    assert pressed(page, "u").startswith("Photo 3: taken back. 2 of 12")
    pressed(page, "Control+z")  # the photo that was unclear is there again
    assert page.evaluate("state.slots[2]") == {"photo": 0, "label": None}
    pressed(page, "u", "u", "u")
    assert labels(page) == [None] * COUNT and page.is_disabled("#undo")


def test_a_reload_keeps_labels_and_what_can_be_undone(opened, sheet):
    page = opened(sheet)
    pressed(page, "1", "2", "x", "2")
    page.reload()
    assert labels(page)[:4] == [0, 1, 1, None]
    assert page.inner_text("#status") == f"3 of {COUNT} labeled."
    assert page.evaluate("current") == 3
    pressed(page, "u")
    assert labels(page)[:4] == [0, 1, None, None]


def test_labels_belong_to_their_sheet(opened, sheet, folder, tmp_path):
    page = opened(sheet)
    pressed(page, "1")
    other = tmp_path / "other.html"
    line = ["choose", str(folder), "--count", "9", "--by", "random", "--seed", "1"]
    assert main([*line, "--out", str(other)]) == 0
    page.goto(other.as_uri())
    assert labels(page) == [None] * 9
    page.goto(sheet.as_uri())
    assert labels(page)[0] == 0


def test_unclear_photos_are_replaced_until_none_is_left(opened, sheet, tmp_path):
    page = opened(sheet)
    shown = "document.querySelector('#photos img').src === data.photos[0][{}].image"
    assert page.evaluate(shown.format(0))
    assert "replaced by one like it" in pressed(page, "x")
    assert page.evaluate(shown.format(1)) and page.evaluate("current") == 0
    assert "replaced" in pressed(page, "?") and page.evaluate(shown.format(2))
    assert "nothing like it is left" in pressed(page, "x")
    assert labels(page)[0] == -1 and page.evaluate("current") == 1
    assert pressed(page, "x", "1", "1", "2", "2").endswith("4 of 12 labeled.")
    file = exported(page, tmp_path)
    lines = file.read_text().splitlines()[1:]
    first, second = paths(page), paths(page, 1)
    assert [line.split(",")[0] for line in lines] == [second[1], *first[2:5]]
    assert page.inner_text("#done-title") == "4 of 12 labeled and exported"
    told = page.inner_text("#faults").splitlines()
    assert told[0].startswith("7 not labeled yet") and told[-1].startswith("1 unclear")


def test_a_class_with_one_photo_is_told_at_the_export(opened, sheet, tmp_path):
    page = opened(sheet)
    assert page.is_disabled("#export")
    pressed(page, "1")
    exported(page, tmp_path)
    assert "Class cat has 1 photo; a labeled set needs two" in page.inner_text("#faults")
    assert "Class dog has 0 photos" in page.inner_text("#faults")


def test_many_are_selected_and_labeled_at_once(opened, sheet):
    page = opened(sheet)
    assert pressed(page, "Shift+ArrowRight", "Shift+ArrowRight") == "3 photos selected."
    assert pressed(page, "2").startswith("3 photos: dog (3 of this class)")
    assert page.evaluate("current") == 3
    options = page.locator("#photos > div")
    options.nth(5).click()
    options.nth(7).click(modifiers=["Shift"])
    options.nth(10).click(modifiers=["Control"])
    options.nth(6).click(modifiers=["Control"])
    assert page.locator("[aria-selected=true]").count() == 3
    pressed(page, "1")
    assert labels(page) == [1, 1, 1, None, None, 0, None, 0, None, None, 0, None]
    pressed(page, "u", "Control+a", "1")
    assert labels(page) == [0] * COUNT


def test_arrows_walk_the_grid_and_the_end_holds(opened, sheet):
    page = opened(sheet, viewport={"width": 700, "height": 600})
    columns = page.evaluate("columns()")
    assert 2 < columns < COUNT

    def at(*keys):
        pressed(page, *keys)
        return page.evaluate("tiles.indexOf(document.activeElement)")

    assert at("ArrowRight") == 1 and at("ArrowDown") == columns + 1 and at("ArrowUp") == 1
    assert at("ArrowUp") == 1 and at("Home") == 0 and at("ArrowLeft") == 0
    assert at("End") == COUNT - 1 and at("ArrowRight") == COUNT - 1
    assert page.locator("#photos > [tabindex='0']").count() == 1


def test_enlarged_photos_are_labeled_one_after_the_other(opened, sheet):
    page = opened(sheet)
    large = "document.querySelector('#large img').src === data.photos[{}][0].image"
    pressed(page, "Space")
    assert page.is_visible("#large") and page.evaluate(large.format(0))
    pressed(page, "1")
    assert page.is_visible("#large") and page.evaluate(large.format(1))
    page.click("#classes button:nth-child(2)")  # the buttons stay in reach
    assert labels(page)[:2] == [0, 1]
    pressed(page, "Escape")
    assert page.is_hidden("#large")
    pressed(page, "Enter")
    page.click("#large")
    assert page.is_hidden("#large")


def test_a_person_names_the_classes(opened, folder, tmp_path):
    """Names and paths with what HTML and CSV take for their own come out as they went in."""
    photos = scan(folder)
    odd = ['a "b", c</script>.jpg', "<img src=x onerror=alert(1)>.jpg"]
    table = photos.table.assign(path=[*odd, *photos.table["path"][2:]], label=-1)
    blank = replace(photos, table=table, classes=())
    file = tmp_path / "own.html"
    slots = [np.array([row]) for row in range(4)]
    write_sheet(file, blank, slots, [], "by <b>hand</b>", "p", split="test")
    page = opened(file)
    assert page.inner_text("#how") == "by <b>hand</b>"
    page.keyboard.type('chat, "noir"')
    pressed(page, "Enter")
    page.keyboard.type("chien <b>")
    pressed(page, "Enter")
    pressed(page, "1", "2")
    page.click("text=Add a class")
    page.keyboard.type("Chien <B>")
    assert pressed(page, "Enter") == "Two classes cannot both be Chien <B>."
    assert pressed(page, "3") == "Class 3 has no name yet: type it first."
    page.locator("#names input").nth(1).fill("")
    assert pressed(page, "Tab") == "Class 2 has photos: it needs a name."
    page.reload()
    assert page.locator("#names input").nth(0).input_value() == 'chat, "noir"'
    rows = ['"a ""b"", c</script>.jpg","chat, ""noir""",test', f"{odd[1]},chien <b>,test"]
    assert exported(page, tmp_path).read_text() == "\n".join(["path,label,split", *rows, ""])


def test_a_key_without_a_class_asks_for_its_name(opened, folder, tmp_path):
    photos = replace(scan(folder), classes=())
    write_sheet(tmp_path / "s.html", photos, [np.array([0]), np.array([1])], [], "", "p")
    page = opened(tmp_path / "s.html")
    page.locator("#photos > div").first.focus()
    assert pressed(page, "2") == "Class 2 has no name yet: type it first."
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Name of class 2"
    assert labels(page) == [None, None]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 1280])
def test_it_fits_every_width_in_both_schemes(opened, sheet, scheme, width):
    page = opened(sheet, viewport={"width": width, "height": 700}, color_scheme=scheme)
    pressed(page, "1", "x", "x", "x", "Shift+ArrowRight")
    page.click("#export")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, back = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    dark, bright = sorted(sum(map(int, re.findall(r"\d+", color)[:3])) for color in (ink, back))
    assert bright - dark > 450 and (back == f"rgb({', '.join(['255'] * 3)})") == (scheme == "light")


def test_where_the_browser_keeps_nothing_it_says_so(opened, sheet):
    page = opened(sheet)
    page.evaluate("void (Storage.prototype.setItem = () => { throw new Error('full'); })")
    assert "This browser keeps nothing: export before you close" in pressed(page, "1")
