"""The published edition: chapters as a GPU executed them, kept in `book/published/`.

`make publish` writes them from `book/chapters/`; `make pages` builds the book from them.
"""

import base64
import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from PIL import Image

from book import execute, expectations
from book.common import BuildError, say, status_of
from book.discover import Chapter, chapters_of, contents, tags
from ssgan_core.paths import whole_file

PROFILE = "full"
MOST = 10_000_000  # bytes of the whole edition
RECORD = "record"  # in the page's metadata: its run's metrics.json
COLORS = 256
PNG = re.compile(r"(?<=data:image/png;base64,)[\w+/=\s]+")


def publish(root: Path) -> None:
    """Make the chapters in `book/chapters/` that were run at full the published ones.

    Raises
    ------
    BuildError
        None was, one learned from somebody's own labels, a number lies outside its band, or the
        edition grows too large. Then nothing is changed.
    """
    new, faults = {}, []
    for chapter in chapters_of(root):
        if execute.read_about(chapter).get("parameters", {}).get("profile") != PROFILE:
            say(f"{chapter.name}: not run at {PROFILE}, what is published of it stays")
            continue
        record = json.loads(chapter.record.read_text(encoding="utf-8"))
        if record["settings"].get("labeled_set"):
            faults.append(f"{chapter.name} learned from labels of somebody's own; run it without")
        faults += expectations.check(root, record).faults
        notebook = nbformat.read(chapter.page, as_version=4)
        notebook.metadata[execute.KEY][RECORD] = record
        _compress(notebook)
        new[chapter.published] = nbformat.writes(notebook) + "\n"
    if not new and not faults:
        faults = [f"no chapter in book/chapters/ was run at {PROFILE}: make book PROFILE={PROFILE}"]
    sizes = {path: len(text.encode()) for path, text in new.items()}
    others = {path: path.stat().st_size for path in (root / "book/published").glob("*.ipynb")}
    if (total := sum((others | sizes).values())) > MOST:
        largest = max(sizes, key=sizes.get)
        faults.append(
            f"the edition would have {total / 1e6:.1f} MB, {MOST / 1e6:.0f} are accepted; the "
            f"largest is {largest.stem}, {sizes[largest] / 1e6:.1f} MB"
        )
    if faults:
        raise BuildError("\n".join(faults))
    for path, text in new.items():
        path.parent.mkdir(exist_ok=True)
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
        say(f"{path.relative_to(root)}: {sizes[path] / 1e6:.2f} MB")


def read_published(chapter: Chapter) -> tuple[nbformat.NotebookNode, dict[str, Any]] | None:
    """A chapter's published page and the record of its run; None where there is none.

    Raises BuildError for a file that is no such page.
    """
    if not chapter.published.exists():
        return None
    try:
        notebook = nbformat.read(chapter.published, as_version=4)
        record = notebook.metadata[execute.KEY].pop(RECORD)
        assert record["chapter"] == chapter.name
        return notebook, record
    except Exception as error:  # no JSON, no notebook, one without a record
        name = chapter.published.relative_to(chapter.root)
        raise BuildError(f"{name} is no published chapter ({type(error).__name__})") from error


@contextlib.contextmanager
def edition(root: Path) -> Iterator[Path]:
    """A tree like the root, for one build, in which each chapter is the run that readers want.

    That is somebody's own in `book/chapters/` if it was run at full, for it is newer; else the
    published one; else the own, of whatever size; else a placeholder. `book/chapters/` stays.
    """
    with TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        (tree / "book/chapters").mkdir(parents=True)
        for base, own in (
            (root, ("book", "_build", ".git")),
            (root / "book", ("chapters", "logs")),
        ):
            for path in base.iterdir():
                if path.name not in own:
                    (tree / path.relative_to(root)).symlink_to(path.resolve())
        for chapter, shown in zip(chapters_of(root), chapters_of(tree), strict=True):
            about, published = execute.read_about(chapter), read_published(chapter)
            if published and about.get("parameters", {}).get("profile") != PROFILE:
                notebook, record = published
                shown.page.write_text(nbformat.writes(notebook), encoding="utf-8")
                shown.record.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
                told = f"published, {record['device']}, commit {record['git']}"
                if _sources(notebook) != _sources(chapter.notebook):
                    told += "; the chapter has changed since"
            elif about:
                shown.page.write_bytes(chapter.page.read_bytes())
                shown.record.write_bytes(chapter.record.read_bytes())
                told = f"run here at {about['parameters']['profile']}"
                told += ", not published" if not published else ", newer than what is published"
            else:
                execute.write_placeholder(shown)
                told = "neither published nor run, a placeholder stands for it"
            say(f"{chapter.name}: {told}")
        yield tree


def _sources(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """What the chapter says and runs; parameters of a run are none of it."""
    cells = [cell for cell in notebook.cells if "injected-parameters" not in tags(cell)]
    return list(contents(nbformat.v4.new_notebook(cells=cells)).values())


def _compress(notebook: nbformat.NotebookNode) -> None:
    """Pictures in the outputs with 256 colors, where that makes them smaller."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = _smaller(data["image/png"])
            if "text/html" in data:
                data["text/html"] = PNG.sub(lambda found: _smaller(found[0]), data["text/html"])


def _smaller(encoded: str) -> str:
    """A PNG in base64, unless it moves, in fewer colors."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    if getattr(picture, "is_animated", False):
        return encoded
    form = "RGBA" if picture.has_transparency_data else "RGB"
    few, file = picture.convert(form).quantize(COLORS), io.BytesIO()
    few.save(file, "PNG", optimize=True, dpi=picture.info.get("dpi"))
    other = base64.b64encode(file.getvalue()).decode()
    return min(encoded, other, key=len)


def main(arguments: Sequence[str] = ()) -> int:
    return status_of(lambda: publish(Path.cwd()))


if __name__ == "__main__":
    sys.exit(main())
