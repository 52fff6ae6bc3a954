"""A labeled set of one's own, all the way: `make book`, a rerun and its page in a browser."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from book_root import REPO
from headless import PATIENCE, barriers, chromium

from book.discover import Chapter
from ssgan_core import compare
from ssgan_core.labels import main as labels
from ssgan_core.pets.collection import draw_pets

BASELINE, ARTICLE = "06_a_hundred_labels", "07_classifier_and_discriminator"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """This checkout elsewhere, with photos and a labeled set that have spaces in their names."""
    root = tmp_path_factory.mktemp("own") / "the book"
    made = shutil.ignore_patterns("chapters", "logs", "__pycache__", ".ipynb_checkpoints")
    for name in ("notebooks", "ssgan_core", "book"):
        shutil.copytree(REPO / name, root / name, ignore=made)
    for name in ("_config.yml", "_toc.yml", "pyproject.toml", "requirements.lock"):
        shutil.copy(REPO / name, root)
    (root / "book/logs/config").mkdir(parents=True)  # no fonts to look for
    draw_pets(root / "my pets", 200, 32, workers=1)
    assert (
        labels(["draw", str(root / "my pets"), "--count", "20", "--out", f"{root}/a set.csv"]) == 0
    )
    return root


def call(checkout, *words):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=checkout, env=environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


OWN = ("photos", "my pets"), ("labeled_set", "a set.csv")


@pytest.fixture(scope="module")
def baseline(checkout):
    """The record of chapter 06 in a book that was made with the set."""
    words = ["--profile=smoke", "--only=06", "--photos=my pets", "--labels=a set.csv"]
    done = call(checkout, "book.build", *words)
    assert done.returncode == 0, done.stderr
    return Chapter(checkout, BASELINE).record


def test_the_book_with_ones_own_labels_says_so(checkout, baseline):
    text = (checkout / f"_build/html/book/chapters/{BASELINE}.html").read_text("utf-8")
    assert re.search(r"<span>Labels</span> a set \([0-9a-f]{6}\)", text)
    assert "a labeled set of somebody's own" in text
    (folder,) = (checkout / "runs" / BASELINE).iterdir()
    assert re.fullmatch("smoke-a set-[0-9a-f]{8}", folder.name)
    kept = json.loads(baseline.read_text("utf-8"))
    assert kept == json.loads((folder / "metrics.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def rerun(checkout):
    """A rerun with a widget that JupyterLab has left in it, and its page."""
    words = [word for name, value in OWN for word in ("-r", name, value)]
    source = f"notebooks/{ARTICLE}.ipynb"
    done = call(checkout, "papermill", source, "out.ipynb", "-r", "profile", "smoke", *words)
    assert done.returncode == 0, done.stderr
    notebook = nbformat.read(checkout / "out.ipynb", as_version=4)
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "Slider()"}
    notebook.cells[2].outputs.append(nbformat.v4.new_output("display_data", view))
    del notebook.metadata["papermill"]
    nbformat.write(notebook, checkout / "out.ipynb")
    done = call(checkout, "book.page", "out.ipynb")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{checkout}/out.html\n"
    return checkout / "out.html"


def test_the_page_of_a_rerun_has_its_numbers_and_the_sets_name(rerun):
    text = rerun.read_text("utf-8")
    shown = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL)
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", shown))
    assert "Labels a set (" in shown and "Slider" not in shown
    assert not re.search(r"\{(glue|ref|numref|eq|cite)|Not run in this build", shown)
    assert re.search(r"at the end of training, .{0,80}D on real images was \d\.\d\d,", shown)
    notebook = nbformat.read(rerun.with_suffix(".ipynb"), as_version=4)
    figures = [cell for cell in notebook.cells if "figure" in cell.metadata.get("mystnb", {})]
    assert text.count("<figcaption>") == len(figures) > 3


def test_a_browser_shows_the_page_and_asks_nobody(rerun):
    asked, complaints = [], []
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 375, "height": 800})
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: asked.append(request.url[:100]))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(rerun.as_uri())
        page.wait_for_selector("mjx-container svg")
        found = page.evaluate(
            """() => ({
                width: document.documentElement.scrollWidth,
                broken: [...document.images].filter(image => !image.naturalWidth).length,
                images: document.images.length,
                formulas: document.querySelectorAll(".math:not(:has(mjx-container))").length,
                folded: document.querySelectorAll(".toggle-hidden").length,
                links: [...document.querySelectorAll("a[href]")]
                    .map(link => link.getAttribute("href"))
                    .filter(href => href[0] != "#" || !document.getElementById(href.slice(1))),
            })"""
        )
        assert barriers(page) == []
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        assert barriers(page, runOnly=["color-contrast"]) == []
    assert [url for url in asked if not url.startswith("data:")] == [rerun.as_uri()]
    assert complaints == []
    assert all(link.startswith("https://") for link in found.pop("links"))
    assert found.pop("images") > 3 and found.pop("folded") > 0
    assert found == {"width": 375, "broken": 0, "formulas": 0}


def test_the_rerun_is_compared_with_the_book(rerun, baseline, checkout, monkeypatch, capsys):
    """By the line in the chapter's box, here with another chapter's record."""
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(compare, "project_root", lambda: checkout)
    assert compare.main(["out.ipynb", str(baseline.relative_to(checkout))]) == 0
    out = capsys.readouterr().out
    assert "article, a set (" in out and "supervised-augmented, a set (" in out
