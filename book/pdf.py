"""`make pdf`: the built book as one PDF, `_build/book.pdf`, with cover, contents and page numbers.

Code that the pages fold is left out, solutions are printed, an animation stands as its last frame.
"""

import argparse
import html
import io
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urldefrag

import yaml
from PIL import Image
from playwright.sync_api import Browser, Page, Route, sync_playwright
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    NameObject,
    NullObject,
    TextStringObject,
)

from ssgan_core.command_line import run_command
from ssgan_core.errors import InputError
from ssgan_core.paths import whole_file

PATIENCE = 600_000  # milliseconds, on a busy machine
SHEET = """
@page {{
  size: A4;
  margin: 18mm 18mm 20mm;
  @bottom-left {{ content: {title}; font: 9px sans-serif; color: #555; }}
  @bottom-right {{ content: counter(page); font: 9px sans-serif; color: #555; }}
}}
html {{ counter-reset: page {before}; }}
"""
# What a click opens is open, but for folded code; a figure that a reader moves is its still.
PREPARE = """async () => {
    document.documentElement.dataset.theme = "light";
    document.querySelectorAll(".interactive").forEach((figure) =>
        figure.replaceWith(figure.querySelector("img")));
    document.querySelectorAll(".admonition.toggle-hidden > .toggle-button")
        .forEach((button) => button.click());
    await window.MathJax?.startup.promise;
    await Promise.all([...document.images].map((image) => image.decode().catch(() => {})));
}"""
FRONT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>
@page {{ size: A4; margin: 20mm 25mm; }}
body {{ margin: 0; font-family: sans-serif; line-height: 1.5; }}
header {{ break-after: page; padding-top: 50mm; }}
header img {{ display: block; width: 100%; margin-top: 25mm; }}
h1 {{ font-size: 34px; line-height: 1.2; }}
ol {{ padding: 0; list-style: none; }}
ol strong {{ display: block; margin-top: 1.2em; }}
li {{ display: flex; justify-content: space-between; }}
a {{ color: inherit; text-decoration: none; }}
</style><header><h1>{title}</h1><p>{author}</p><img src="{picture}" alt=""></header>
<h2>Contents</h2><ol>{lines}</ol></html>"""


def find_chromium() -> str:
    """Path of the machine's Chromium; InputError where there is none."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if not path:
        raise InputError("there is no Chromium on this machine; Debian's package is `chromium`")
    return path


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, headless."""
    path = find_chromium()
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=path, args=options, timeout=PATIENCE)
        yield browser
        browser.close()


def make_pdf(root: Path) -> Path:
    """Print every page of the built book and join the prints; where the PDF lies.

    Raises InputError where a page is missing.
    """
    site = root / "_build/html"
    toc, config = (
        yaml.safe_load((root / name).read_text("utf-8")) for name in ("_toc.yml", "_config.yml")
    )
    parts = {"": [toc["root"]]} | {
        part["caption"]: [chapter["file"] for chapter in part["chapters"]] for part in toc["parts"]
    }
    files = {name: site / f"{name}.html" for names in parts.values() for name in names}
    if missing := [name for name, path in files.items() if not path.exists()]:
        raise InputError(f"_build/html has no page {missing[0]}; `make book` makes it")
    with chromium() as browser:
        page = browser.new_context(offline=True).new_page()
        page.set_default_timeout(PATIENCE)
        page.route("**/*.gif", _last_frame)
        titles, starts, prints = {}, {}, []
        before = 2  # cover and contents
        for name, path in files.items():
            page.goto(path.as_uri())
            page.evaluate(PREPARE)
            titles[name] = page.locator("h1").first.inner_text().removesuffix("#").strip()
            starts[name] = before + 1
            sheet = SHEET.format(title=json.dumps(titles[name], ensure_ascii=False), before=before)
            page.add_style_tag(content=sheet)
            prints.append(_print(page))
            before += len(prints[-1].pages)
        lines = "".join(
            (f"<strong>{html.escape(part)}</strong>" if part else "")
            + "".join(
                f'<li><a href="{files[name].as_uri()}">{html.escape(titles[name])}</a>'
                f"<span>{starts[name]}</span></li>"
                for name in names
            )
            for part, names in parts.items()
        )
        front = root / "_build/front.html"
        picture = (root / "book/_assets/idea.svg").as_uri()
        facts = {key: html.escape(config[key]) for key in ("title", "author")}
        front.write_text(FRONT.format(lines=lines, picture=picture, **facts), "utf-8")
        page.goto(front.as_uri())
        prints.insert(0, _print(page))
        front.unlink()
    with whole_file(root / "_build/book.pdf") as partial:
        pages = [front, *files.values()]
        join(prints, [config["title"], *titles.values()], pages).write(partial)
    return root / "_build/book.pdf"


def _last_frame(route: Route) -> None:
    """An animation as a still: where it has come to."""
    with Image.open(Path(unquote(route.request.url.removeprefix("file://")))) as film:
        film.seek(film.n_frames - 1)
        film.convert("RGB").save(still := io.BytesIO(), "PNG")
    route.fulfill(body=still.getvalue(), content_type="image/png")


def _print(page: Page) -> PdfReader:
    made = page.pdf(prefer_css_page_size=True, print_background=True, outline=True)
    return PdfReader(io.BytesIO(made))


def join(prints: Sequence[PdfReader], titles: Sequence[str], pages: Sequence[Path]) -> PdfWriter:
    """One PDF of the prints of pages, each with its title in the outline; links between them lead
    from page to page.

    A place that a page's own print does not know, as none of its links leads there, is its start.
    """
    writer, places = PdfWriter(), {}
    for path, title, printed in zip(pages, titles, prints, strict=True):
        start, address = len(writer.pages), path.as_uri()
        places[address, ""] = start, NullObject()
        for name, place in printed.named_destinations.items():
            number = start + printed.get_destination_page_number(place)
            places[address, name.removeprefix("/")] = number, place["/Top"]
        for link in _links(printed.pages):
            if name := link.pop("/Dest", None):
                to = TextStringObject(f"{address}#{name.removeprefix('/')}")
                action = {NameObject("/S"): NameObject("/URI"), NameObject("/URI"): to}
                link[NameObject("/A")] = DictionaryObject(action)
        writer.append(printed, outline_item=title)
    for link in _links(writer.pages):
        address, name = urldefrag(link["/A"]["/URI"])
        if address.startswith("file:"):
            del link["/A"]
            number, top = places.get((address, unquote(name)), places.get((address, ""), (None, 0)))
            if number is not None:
                to = [
                    writer.pages[number].indirect_reference,
                    NameObject("/XYZ"),
                    NullObject(),
                    top,
                ]
                link[NameObject("/Dest")] = ArrayObject([*to, NullObject()])
    return writer


def _links(sheets: Iterable[PageObject]) -> Iterator[DictionaryObject]:
    for sheet in sheets:
        for annotation in sheet.get("/Annots", []):
            yield annotation.get_object()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; `run_command` says what it returns."""
    parser = argparse.ArgumentParser(prog="python -m book.pdf", description=__doc__.splitlines()[0])

    def call() -> None:
        parser.parse_args(arguments)
        print(make_pdf(Path.cwd()))

    return run_command(call)


if __name__ == "__main__":
    sys.exit(main())
