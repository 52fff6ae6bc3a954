"""The whole book at smoke size, printed into one PDF, and what refuses to be printed."""

import re
import shutil
from io import BytesIO
from types import SimpleNamespace

import pytest
from book_root import REPO, chapter_names
from headless import need_chromium
from PIL import Image
from pypdf import PdfReader

from book import pdf
from book.discover import chapters_of


@pytest.fixture(scope="module")
def printed(site):
    need_chromium()
    return PdfReader(pdf.make_pdf(site.parents[1]))


@pytest.fixture(scope="module")
def sheets(printed):
    return [sheet.extract_text() for sheet in printed.pages]


def plain(text):
    """Text without white space, ligatures and curled apostrophes, as a PDF may have it or not."""
    for printed, typed in (("ﬁ", "fi"), ("ﬂ", "fl"), ("’", "'")):
        text = text.replace(printed, typed)
    return re.sub(r"\s+", "", text)


def test_the_contents_name_the_page_that_every_chapter_begins_on(printed, sheets):
    listed = plain(sheets[1])
    outline = [one for one in printed.outline if not isinstance(one, list)]
    for chapter in chapters_of(REPO):
        title = plain(f"{int(chapter.number)} {chapter.title}")
        (entry,) = (one for one in outline if plain(one.title) == title)
        number = printed.get_destination_page_number(entry) + 1
        assert f"{title}{number}" in listed
        assert title in plain(sheets[number - 1])
        assert plain(sheets[number - 1]).startswith(f"{number}{title}")  # the foot


def test_links_lead_into_the_book_or_to_an_address(printed):
    inside = outside = 0
    for sheet in printed.pages:
        for annotation in sheet.get("/Annots", []):
            link = annotation.get_object()
            if "/Dest" in link:
                assert printed.get_page_number(link["/Dest"][0].get_object()) is not None
                inside += 1
            elif "/A" in link:
                assert link["/A"]["/URI"].startswith(("https://", "http://", "mailto:"))
                outside += 1
    assert inside > 100 and outside > 20


def test_a_reader_on_paper_gets_solutions_and_stills_but_no_folded_code(sheets):
    text = "".join(sheets)
    chapters = [(REPO / f"notebooks/{name}.md").read_text("utf-8") for name in chapter_names()]
    solutions = re.findall(r"^```\{solution-start\}", "\n".join(chapters), re.M)
    assert text.count("Solution to") == len(solutions) > 20
    assert "Show code cell" not in text and "Raise all by 1" not in text


def test_an_animation_is_printed_as_its_last_frame(tmp_path):
    frames = [Image.new("RGB", (2, 2), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "a b.gif", save_all=True, append_images=frames[1:])
    got = {}
    route = SimpleNamespace(
        request=SimpleNamespace(url=(tmp_path / "a b.gif").as_uri()), fulfill=got.update
    )
    pdf._last_frame(route)
    assert Image.open(BytesIO(got["body"])).getpixel((1, 1)) == (0, 0, 255)
    assert got["content_type"] == "image/png"


def test_what_cannot_be_printed_is_one_clear_line(tmp_path, monkeypatch, capsys):
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy(REPO / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert pdf.main([]) == 2
    assert capsys.readouterr().err == (
        "error: _build/html has no page book/index; `make book` makes it\n"
    )
