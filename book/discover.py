"""Which chapters the book has, where their files lie, and which of them a person asked for."""

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import jupytext
import yaml
from nbformat import NotebookNode

from book.common import BuildError

PROFILES = ("smoke", "quick", "full")
METADATA = ("tags", "mystnb")  # of a cell: what the book reads; the rest are marks of editors


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

    @property
    def published(self) -> Path:
        """The page that a GPU executed, with its record inside."""
        return self.root / "book" / "published" / f"{self.name}.ipynb"

    def log(self, suffix: str) -> Path:
        return self.root / "book" / "logs" / f"{self.name}{suffix}"

    @cached_property
    def notebook(self) -> NotebookNode:
        return read_notebook(self.source, f"notebooks/{self.source.name}")

    @cached_property
    def parameters(self) -> set[str]:
        """Names assigned in the cell tagged `parameters`."""
        source = next((c.source for c in self.notebook.cells if "parameters" in tags(c)), "")
        return {
            target.id
            for statement in self.parse(source).body
            if isinstance(statement, ast.Assign)
            for target in statement.targets
            if isinstance(target, ast.Name)
        }

    def parse(self, code: str) -> ast.Module:
        """Its code, or some of it; an error names the chapter."""
        try:
            compile(code, self.name, "exec")  # sees more than the parser, a stray `return` say
            return ast.parse(code)
        except SyntaxError as error:
            line = error.text or code.splitlines()[error.lineno - 1]
            raise BuildError(f"{self.name}: {error.msg}: {line.strip()}") from None

    @property
    def heading(self) -> str:
        """The source up to and with its title: reference targets and `# Title`."""
        _, *first = next(iter(contents(self.notebook).values()), [""])
        match = re.search(r"^((?:\([\w-]+\)=\s+)*# .+)$", "\n".join(first), re.M)
        if not match:
            raise BuildError(f"notebooks/{self.name}.ipynb: its first cell has no '# Title'")
        return match[1]

    @property
    def targets(self) -> str:
        """What other chapters may refer to beside the title: named places, labeled equations."""
        cells = (cell.source for cell in self.notebook.cells if cell.cell_type == "markdown")
        text = "\n\n".join(cells).replace(self.heading, "")
        places = re.findall(r"^\([\w-]+\)=$", text, re.M)
        equations = re.findall(r"^```\{math\}\n:label: .+?\n```$", text, re.M | re.S)
        if not (places or equations):
            return ""
        return "\n\n".join(["\n".join([*places, "What others refer to:"]), *equations])

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


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def contents(notebook: NotebookNode) -> dict[int, list[str]]:
    """What the book makes of each cell, by its number: its kind and metadata, then its source.

    Empty cells and all other metadata are marks that editors leave.
    """
    found = {}
    for number, cell in enumerate(notebook.cells, 1):
        if source := cell.source.strip("\n").rstrip():
            kept = {key: cell.metadata[key] for key in METADATA if cell.metadata.get(key)}
            head = f"{cell.cell_type} {json.dumps(kept, sort_keys=True, ensure_ascii=False)}"
            found[number] = [head.removesuffix(" {}"), *source.splitlines()]
    return found


def check_pair(chapter: Chapter) -> None:
    """Stop unless the two files of a chapter say the same."""
    ours = contents(chapter.notebook)
    markdown = chapter.source.with_suffix(".md")
    theirs = contents(read_notebook(markdown, f"notebooks/{markdown.name}"))
    for number, here, there in zip_longest(ours, ours.values(), theirs.values(), fillvalue=[]):
        if here != there:
            pairs = zip_longest(here, there, fillvalue="(nothing)")
            first, other = next(pair for pair in pairs if pair[0] != pair[1])
            raise BuildError(
                f"notebooks/{chapter.name}.md and .ipynb differ in cell {number or len(ours) + 1}; "
                "take over the file you edited: "
                f"`jupytext --sync notebooks/{chapter.name}.md` trusts the newer one\n"
                f"  .md:    {other}\n  .ipynb: {first}"
            )


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


def read_notebook(path: Path, name: str) -> NotebookNode:
    """A notebook in either form; the readers have an error for each way of being broken."""
    try:
        return jupytext.read(path)
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        reason = f"{type(error).__name__}: {first}"
        raise BuildError(f"{name} is no notebook ({reason})") from error


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
