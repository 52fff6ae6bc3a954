"""An executed chapter as a page in one file: what is refused, and what goes into the file."""

import nbformat
import pytest
from book_root import REPO

from book import page
from book.page import chapter_in, in_one_file, main
from ssgan_core import compare


@pytest.fixture
def executed():
    """A chapter 08 of two cells, as it is once both have run."""
    v4 = nbformat.v4
    said = v4.new_output("stream", text="runs/08_further_than_the_article/smoke-1/metrics.json\n")
    code = v4.new_code_cell("print()", execution_count=1, outputs=[said])
    return v4.new_notebook(cells=[v4.new_markdown_cell("(ch-08)=\n# Further"), code])


def fails(notebook):
    notebook.cells[1].outputs = [nbformat.v4.new_output("error", ename="E", evalue="no\ncats")]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda n: n.cells[0].update(source="# Mine\n\nas (ch-08)= says"), "is no chapter of the"),
        (lambda n: n.cells[1].update(execution_count=None), "to its end: cell 2 was not"),
        (fails, "has failed, cell 2: E: no cats"),
        (lambda n: n.cells[1].update(outputs=[]), "names no metrics.json: its last cell has not"),
        (lambda n: None, "smoke-1/metrics.json is no longer there"),
    ],
)
def test_what_is_no_executed_chapter_is_one_clear_line(
    executed, tmp_path, monkeypatch, capsys, change, told
):
    monkeypatch.chdir(REPO)
    monkeypatch.setattr(compare, "project_root", lambda: tmp_path)
    change(executed)
    notebook = tmp_path / "out.ipynb"
    nbformat.write(executed, notebook)
    assert main([str(notebook)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {notebook} ") and told in line
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone.ipynb", "is no notebook (FileNotFoundError"),
        ("", "a path is empty"),
        ("notes.txt", "is no notebook"),
        ("half.ipynb", "is no notebook"),
        ("list.ipynb", "is no notebook"),
        (str(REPO / "notebooks/08_further_than_the_article.md"), "cell 2 was not"),
    ],
)
def test_what_is_no_notebook_is_one_clear_line(tmp_path, monkeypatch, capsys, name, told):
    monkeypatch.chdir(REPO)
    for file, text in {"notes.txt": "a", "half.ipynb": '{"cells": [', "list.ipynb": "[1]"}.items():
        (tmp_path / file).write_text(text)
    assert main([str(tmp_path / name) if name else ""]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and told in line and name in line


def test_a_chapter_is_known_by_its_target_whatever_stands_before_it(executed):
    executed.cells.insert(0, nbformat.v4.new_markdown_cell("My notes."))
    chapters = page.chapters_of(REPO)
    assert chapter_in(executed, chapters, "out.ipynb") == "08_further_than_the_article"


def test_a_page_holds_what_it_loads_and_leads_nowhere_else(tmp_path):
    (tmp_path / "style").mkdir()
    (tmp_path / "style/base.css").write_text("b{}")
    (tmp_path / "style/a.css").write_text(
        '@import "base.css";p{background:url("data:,x")}'
        "@font-face{src:url(f.woff2) format('woff2'),url(f.ttf) format('truetype')}"
    )
    for name in ("style/f.woff2", "mathjax.js", "search.js", "cat.png", "logo.svg"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "08.html").write_text(
        '<!DOCTYPE html><link href="style/a.css?v=1" rel="stylesheet"><link href="logo.svg"'
        ' rel="icon"><link href="07.html" rel="prev"><script src="mathjax.js"></script>'
        '<script src="search.js"></script><script>a && b</script>'
        '<header>all chapters</header><p>By <a href="07.html#equation-a">(1)</a>, '
        '<a href="07.html">another</a>, <a href="08.html#here">here</a>, <a href="#there">there'
        '</a>, <a href="https://arxiv.org/abs/1">this</a>: a &lt; b.<img src="cat.png"></p>'
        "<pre>x</pre>"
    )
    text = in_one_file(tmp_path / "08.html", {"07": "Two networks"})
    assert text.startswith("<!DOCTYPE html>") and text.count("data:") == 5
    assert "<style>b{}p{" in text and "format('woff2')}" in text and "a &lt; b" in text
    assert "<script>a && b</script>" in text
    assert "<em>(1) of Two networks</em>, <em>another</em>" in text
    assert '<pre tabindex="0">x</pre>' in text
    assert '<a href="#here">' in text and '<a href="#there">' in text
    assert '<a href="https://arxiv.org/abs/1">' in text
    for gone in ("header", "07.html", ".css", ".png", ".js", ".svg", "ttf", "prev"):
        assert gone not in text
