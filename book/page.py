"""`make page`: an executed chapter as a page in one file, which opens without a network.

python -m book.page out.ipynb
"""

import argparse
import base64
import mimetypes
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urldefrag, urlsplit

import nbformat
import yaml
from bs4 import BeautifulSoup

from book import execute
from book.build import jupyter_book
from book.common import BuildError
from book.discover import Chapter, chapters_of, read_notebook
from book.environment import clean_environment
from ssgan_core.command_line import run_command
from ssgan_core.compare import find_records
from ssgan_core.errors import InputError
from ssgan_core.paths import resolve_path, whole_file

WIDGET = "application/vnd.jupyter.widget-view+json"  # shows nothing where its editor is not
# What leads to other pages, and the buttons and icons of scripts that do not come along.
AROUND = (
    "header, footer, dialog, .bd-header-article, .bd-sidebar-primary, .pst-async-banner-revealer, "
    "#pst-skip-link, #pst-back-to-top, i[class*=fa-], link:not([rel=stylesheet], [rel=icon])"
)
SCROLLED = "pre, .cell_output > .output"  # the theme's script, left behind, lets a keyboard in
SCRIPTS = re.compile("documentation_options|clipboard|copybutton|togglebutton|mathjax")
BIBLIOGRAPHY = "## Bibliography\n\n```{bibliography}\n```"


def make_page(root: Path, notebook: str) -> Path:
    """Build the page of an executed chapter and put it beside its notebook; where it lies.

    The other chapters take part with their titles and equations, so that references to them are
    resolved. Raises InputError, or BuildError of the builder, for what is no executed chapter.
    """
    path = resolve_path(notebook)
    executed = read_notebook(path, notebook)
    name = chapter_in(executed, chapters_of(root), notebook)
    (record,) = find_records(str(path))
    execute.take_stderr(executed)
    for cell in executed.cells:
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
    if any("{cite}" in cell.source for cell in executed.cells):
        executed.cells.append(nbformat.v4.new_markdown_cell(BIBLIOGRAPHY))
    execute.clean(executed, {"key": None})
    with clean_environment(root), TemporaryDirectory() as folder:
        book = Path(folder).resolve()
        titles = _around(root, book)
        page = Chapter(book, name).page
        page.write_text(nbformat.writes(executed), encoding="utf-8")
        shutil.copy(record, page.with_suffix(".json"))
        try:
            jupyter_book(book, root / "book/logs/page.log")
        except BuildError as error:
            raise BuildError(str(error).replace(str(page), notebook)) from None
        html = in_one_file(book / "_build/html/book/chapters" / f"{name}.html", titles)
    with whole_file(path.with_suffix(".html")) as partial:
        partial.write_text(html, encoding="utf-8")
    return path.with_suffix(".html")


def chapter_in(executed: nbformat.NotebookNode, chapters: list[Chapter], notebook: str) -> str:
    """Name of the chapter that a notebook is; InputError unless all of it has been executed."""
    text = "\n".join(cell.source for cell in executed.cells if cell.cell_type == "markdown")
    names = [c.name for c in chapters if re.search(rf"^\(ch-{c.number}\)=$", text, re.M)]
    if len(names) != 1:
        raise InputError(f"{notebook} is no chapter of the book: no cell begins like one, (ch-08)=")
    for number, cell in enumerate(executed.cells, 1):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                told = " ".join(f"{output.ename}: {output.evalue}".split())
                raise InputError(f"{notebook} has failed, cell {number}: {told}")
        if cell.cell_type == "code" and cell.source.strip() and cell.execution_count is None:
            raise InputError(f"{notebook} has not been executed to its end: cell {number} was not")
    return names[0]


def _around(root: Path, book: Path) -> dict[str, str]:
    """A book in which every chapter has its place and none its outputs; their titles by name."""
    for part in ("notebooks", "book/_ext", "book/_assets"):
        shutil.copytree(root / part, book / part)
    for part in ("_config.yml", "_toc.yml", "book/references.bib", "book/glossary.md"):
        shutil.copy(root / part, book / part)
    chapters = chapters_of(book)
    for chapter in chapters:
        execute.write_placeholder(chapter)
    files = [f"book/chapters/{chapter.name}" for chapter in chapters] + ["book/glossary"]
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": f} for f in files]}
    (book / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (book / "book/index.md").write_text("# The book\n", encoding="utf-8")
    return {chapter.name: chapter.title for chapter in chapters}


def in_one_file(page: Path, titles: dict[str, str]) -> str:
    """The HTML of a built page with what it loads inside, and no link to another page of the book.

    What was one is text; of an equation this says the chapter, as its number alone would not.
    """
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    for part in soup.select(AROUND):
        part.decompose()
    for script in soup.select("script"):
        if not SCRIPTS.search(script.get("src", "mathjax")):
            script.decompose()
    for box in soup.select(SCROLLED):
        box["tabindex"] = "0"
    for sheet in soup.select("link[rel=stylesheet]"):
        style = soup.new_tag("style")
        style.string = _style(page.parent / urlsplit(sheet["href"]).path)
        sheet.replace_with(style)
    for tag in soup.select("[src], link[href]"):
        name = "src" if "src" in tag.attrs else "href"
        address = urlsplit(tag[name])
        if not (address.scheme or address.netloc):
            tag[name] = _data(page.parent / address.path)
    for link in soup.select("a[href]"):
        target, fragment = urldefrag(link["href"])
        if target == page.name:
            link["href"] = f"#{fragment}"
        elif target and not urlsplit(target).scheme:
            link.name = "em"
            del link["href"]
            if fragment.startswith("equation-"):
                link.append(f" of {titles[Path(target).stem]}")
    return str(soup)


def _style(path: Path) -> str:
    """A style sheet with what it loads inside; of a font the format that every browser reads."""
    text = re.sub(r",\s*url\([^)]*\.ttf\)\s*format\([^)]*\)", "", path.read_text("utf-8"))
    text = re.sub('@import "(.+?)";', lambda m: _style(path.parent / m[1]), text)
    loads = re.compile(r"""url\(((?!data:)[^"'()]+)\)""")
    return loads.sub(lambda m: f"url({_data(path.parent / m[1])})", text)


def _data(path: Path) -> str:
    """A file as an address that holds it."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; `run_command` says what it returns."""
    parser = argparse.ArgumentParser(
        prog="python -m book.page", description=__doc__.splitlines()[0]
    )
    parser.add_argument("notebook", help="executed chapter, such as papermill's out.ipynb")

    def call() -> None:
        given = parser.parse_args(arguments)
        try:
            print(make_page(Path.cwd(), given.notebook))
        except BuildError as error:
            raise InputError(str(error)) from error

    return run_command(call)


if __name__ == "__main__":
    sys.exit(main())
