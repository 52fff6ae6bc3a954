"""Which chapters the book has, where their files lie, and which of them a person asked for."""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jupytext
import nbformat
import papermill
import yaml
from jupytext.compare import NotebookDifference, compare_notebooks

from book.common import BuildError

PROFILES = ("smoke", "quick", "full")


@dataclass(frozen=True)
class Chapter:
    """One chapter: its source pair under `notebooks/`, its page under `book/chapters/`."""

    root: Path
    name: str

    @property
    def number(self) -> str:
        return self.name.split("_", 1)[0]

    @property
    def source(self) -> Path:
        return self.root / "notebooks" / f"{self.name}.ipynb"

    @property
    def page(self) -> Path:
        return self.root / "book" / "chapters" / f"{self.name}.ipynb"

    @property
    def record(self) -> Path:
        """The run's `metrics.json`, kept beside the page."""
        return self.page.with_suffix(".json")

    def log(self, suffix: str) -> Path:
        return self.root / "book" / "logs" / f"{self.name}{suffix}"

    @cached_property
    def notebook(self) -> nbformat.NotebookNode:
        return nbformat.read(self.source, as_version=4)

    @cached_property
    def parameters(self) -> set[str]:
        """Names assigned in the cell tagged `parameters`."""
        return set(papermill.inspect_notebook(self.source))

    @property
    def heading(self) -> str:
        """The source up to and with its title: reference targets and `# Title`."""
        match = re.search(r"^((?:\([\w-]+\)=\s+)*# .+)$", self.notebook.cells[0].source, re.M)
        if not match:
            raise BuildError(f"notebooks/{self.name}.ipynb: its first cell has no '# Title'")
        return match[1]

    @property
    def title(self) -> str:
        return self.heading.rsplit("# ", 1)[1]


def chapters_of(root: Path) -> list[Chapter]:
    """Chapters in the order of `_toc.yml`."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    prefix = "book/chapters/"
    names = [file.removeprefix(prefix) for file in _files(toc) if file.startswith(prefix)]
    for name in names:
        for suffix in (".md", ".ipynb"):
            if not (root / "notebooks" / f"{name}{suffix}").exists():
                raise BuildError(
                    f"_toc.yml lists {prefix}{name} but notebooks/{name}{suffix} is missing"
                )
    return [Chapter(root, name) for name in names]


def select(chapters: list[Chapter], only: str | None) -> list[Chapter]:
    """Chapters that `ONLY` names: by number (`7`, `07`), by name, or by name without its number."""
    if not only:
        return chapters
    chosen = set()
    for word in re.split(r"[,\s]+", only.strip(" ,")):
        names = [c.name for c in chapters if word in _spellings(c)]
        if not names:
            accepted = ", ".join(c.name for c in chapters)
            raise BuildError(f"ONLY={only}: no chapter {word!r}; accepted are {accepted}")
        chosen.update(names)
    return [chapter for chapter in chapters if chapter.name in chosen]


def check_pair(chapter: Chapter) -> None:
    """Stop unless the two files of a chapter say the same."""
    markdown = chapter.source.with_suffix(".md")
    try:
        compare_notebooks(
            jupytext.read(chapter.source),
            jupytext.read(markdown),
            fmt="md:myst",
            allow_expected_differences=True,
        )
    except NotebookDifference as difference:
        first = str(difference).strip().splitlines()[0]
        raise BuildError(
            f"notebooks/{chapter.name}.md and .ipynb differ ({first}); take over the file you "
            f"edited: `jupytext --sync notebooks/{chapter.name}.md` trusts the newer one"
        ) from None


def main() -> int:
    """Check every pair; the exit status of `make lint`."""
    faults = []
    for chapter in chapters_of(Path.cwd()):
        try:
            check_pair(chapter)
        except BuildError as error:
            faults.append(str(error))
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return min(len(faults), 1)


def _files(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "file" in node:
            yield node["file"]
        for value in node.values():
            yield from _files(value)
    elif isinstance(node, list):
        for value in node:
            yield from _files(value)


def _spellings(chapter: Chapter) -> set[str]:
    return {
        chapter.name,
        chapter.name.split("_", 1)[1],
        chapter.number,
        chapter.number.lstrip("0"),
    }


if __name__ == "__main__":
    sys.exit(main())
