"""The published edition: what is taken into it, what is refused, and which run a page shows."""

import base64
import io
import json
from tempfile import gettempdir

import nbformat
import numpy as np
import pytest
from book_root import make_root, put
from PIL import Image

from book import published
from book.build import build
from book.common import BuildError
from book.discover import chapters_of
from book.execute import KEY
from book.published import edition, main, publish

BANDS = "[01_first.full.embedded]\naccuracy = [0.7, 0.9]\n"


def picture(side=64):
    """A smooth picture in base64, which 256 colors make smaller."""
    x = np.linspace(0, 255, side)
    pixels = np.stack(np.broadcast_arrays(x[:, None], x[None], 99.0), -1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((8 * side, 8 * side)).save(file, "PNG", compress_level=0)
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def root(tmp_path):
    root = make_root(tmp_path / "root")
    (root / "book/expectations.toml").write_text(BANDS)
    return root


def shown(root):
    """What the pages of an edition show: each chapter's profile, None for a placeholder."""
    with edition(root) as tree:
        records = [chapter.record for chapter in chapters_of(tree)]
        return [json.loads(r.read_text())["profile"] if r.exists() else None for r in records]


def test_a_chapter_run_at_full_is_published_with_its_provenance_and_smaller_pictures(root, capsys):
    png = picture()
    html = f'<img src="data:image/png;base64,{png}">'
    chapter = put(root, 1, data={"image/png": png, "text/html": html})
    put(root, 2, "quick")
    publish(root)
    assert [path.name for path in (root / "book/published").iterdir()] == ["01_first.ipynb"]
    assert "02_second: not run at full" in capsys.readouterr().out
    notebook = nbformat.read(chapter.published, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata[KEY]["record"] == json.loads(chapter.record.read_text())
    data = notebook.cells[-1].outputs[0]["data"]
    assert len(data["image/png"]) < len(png) / 2 and data["image/png"] in data["text/html"]
    before, after = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(p))).convert("RGB"), int)
        for p in (png, data["image/png"])
    )
    assert before.shape == after.shape and abs(before - after).mean() < 6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"accuracy": 0.2},
            r"^01_first, full, embedded data: accuracy = 0.2 is outside \[0.7, 0.9",
        ),
        ({"labeled_set": "my.csv"}, "^01_first learned from labels of somebody's own"),
        ({"profile": "quick"}, "^no chapter in book/chapters/ was run at full"),
    ],
)
def test_what_the_book_does_not_stand_for_is_refused_and_changes_nothing(root, given, message):
    put(root, 1, **given)
    with pytest.raises(BuildError, match=message):
        publish(root)
    assert not (root / "book/published").exists()


def test_one_chapter_outside_its_band_keeps_the_others_from_being_published(root):
    put(root, 1, accuracy=0.95)
    put(root, 2)
    with pytest.raises(BuildError, match=r"accuracy = 0\.95"):
        publish(root)
    assert not (root / "book/published").exists()


def test_too_large_an_edition_is_refused(root, monkeypatch):
    put(root, 1)
    monkeypatch.setattr(published, "MOST", 1000)
    with pytest.raises(
        BuildError, match=r"would have 0\.0 MB, 0 are accepted; the largest is 01_f"
    ):
        publish(root)


def test_the_command_says_each_fault_in_a_line(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    put(root, 1, accuracy=0.2)
    assert main() == 1
    assert capsys.readouterr().err.startswith("error: 01_first, full, embedded data: accuracy")
    put(root, 1)
    assert main() == 0


def test_full_comes_before_quick_and_the_newer_before_what_is_published(root, capsys):
    put(root, 1)
    publish(root)
    chapter = put(root, 1, "quick")
    own = chapter.page.read_bytes()
    assert shown(root) == ["full", None]
    assert "01_first: published, an H100, commit abcfull\n" in capsys.readouterr().out
    put(root, 2, "quick")
    assert shown(root) == ["full", "quick"]
    assert "02_second: run here at quick, not published" in capsys.readouterr().out
    assert chapter.page.read_bytes() == own, "one's own run stays where it is"
    put(root, 1, "full", accuracy=0.81)
    with edition(root) as tree:
        record = json.loads(chapters_of(tree)[0].record.read_text())
    assert record["values"]["accuracy"] == 0.81
    assert "01_first: run here at full, newer than what is published" in capsys.readouterr().out


def test_a_chapter_that_has_changed_since_is_named(root, capsys):
    put(root, 1)
    publish(root)
    source = root / "notebooks/01_first.ipynb"
    source.write_text(source.read_text().replace("Chapter 01_first", "Another title"))
    chapters_of(root)[0].page.unlink()
    assert shown(root)[0] == "full"
    assert "commit abcfull; the chapter has changed since" in capsys.readouterr().out


def test_pages_are_built_from_what_is_published_and_say_what_is_not(root):
    put(root, 1)
    publish(root)
    put(root, 1, "quick")
    put(root, 2, "quick")
    build(root, pages_only=True)
    first, second = (
        (root / f"_build/html/book/chapters/{chapter.name}.html").read_text()
        for chapter in chapters_of(root)
    )
    assert "seen at full" in first and "seen at quick" not in first
    assert "an H100" in first and "abcfull" in first and "has been published yet" not in first
    assert f"{gettempdir()}/tmp" not in first, "no page tells the folder it was built in"
    assert "seen at quick" in second and "at its real size has been published yet" in second


def test_a_published_chapter_outside_its_band_is_refused_in_the_build(root):
    put(root, 1)
    publish(root)
    (root / "book/expectations.toml").write_text(BANDS.replace("0.7", "0.85"))
    with pytest.raises(BuildError, match=r"01_first, full, .*accuracy = 0.8 is outside \[0.85"):
        build(root, pages_only=True, html=False)


@pytest.mark.parametrize("content", ["no JSON", "{}", '{"cells": [], "metadata": {}}'])
def test_a_file_that_is_no_published_chapter_is_named(root, content):
    (root / "book/published").mkdir()
    (root / "book/published/01_first.ipynb").write_text(content)
    with pytest.raises(BuildError, match=r"book/published/01_first.ipynb is no published chapter"):
        build(root, pages_only=True, html=False)
