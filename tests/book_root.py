"""A tiny book in a folder of its own, for the builder's tests; this book at smoke size."""

import json
import shutil
from pathlib import Path

import jupytext
import nbformat
import papermill

from book.build import build
from book.discover import Chapter, chapters_of
from book.environment import clean_environment
from book.execute import clean, take_stderr
from ssgan_core.compare import find_records

REPO = Path(__file__).resolve().parents[1]

PARAMETERS = """profile = "quick"  # smoke, quick or full
photos = None  # folder of photos
steps = None  # steps"""

FINISH = """import json, pathlib
from ssgan_core import helper
folder = pathlib.Path("runs/{name}/" + profile + "-0")
folder.mkdir(parents=True, exist_ok=True)
(folder / "metrics.json").write_text(json.dumps({{
    "chapter": "{name}", "profile": profile, "values": {{"accuracy": helper.ACCURACY}},
    "settings": {{"seed": 0}}, "data": {{"name": "dots", "checksum": "0123456789"}},
    "git": "abc", "device": "a CPU", "wall_s": 1.5, "finished": "2026-01-02T03:04:05+00:00",
    "python": "3.12.1", "versions": {{"torch": "2.9.0", "dali": None}}}}))
print("accuracy", helper.ACCURACY)"""


def write_chapter(
    root: Path, name: str, code: str, parameters: str = PARAMETERS, tags: list[str] | None = None
) -> None:
    """A chapter as a pair of files: title, parameters, one cell of code."""
    number = name[:2]
    cells = [
        nbformat.v4.new_markdown_cell(
            f"(ch-{number})=\n# Chapter {name}\n\nSee {{ref}}`ch-01`; runs in {{ran}}`minutes`."
        ),
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(code, metadata={"tags": tags} if tags else {}),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    for suffix, fmt in ((".ipynb", "ipynb"), (".md", "md:myst")):
        jupytext.write(notebook, root / "notebooks" / f"{name}{suffix}", fmt=fmt)


def make_root(root: Path) -> Path:
    """A book of two chapters; `ssgan_core.helper` is imported by both, `other` by none."""
    for folder in ("notebooks", "book", "ssgan_core"):
        (root / folder).mkdir(parents=True)
    shutil.copytree(REPO / "book" / "_ext", root / "book" / "_ext")
    shutil.copytree(REPO / "book" / "_assets", root / "book" / "_assets")
    shutil.copy(REPO / "_config.yml", root)
    (root / "book" / "logs" / "config").mkdir(parents=True)  # draws nothing: no fonts to look for
    (root / "book" / "references.bib").write_text("")
    (root / "book" / "index.md").write_text("# A book\n\n```{run-times}\n```\n")
    (root / "book" / "expectations.toml").write_text("")
    (root / "book" / "recorded").mkdir()
    (root / "book" / "recorded" / "experiments.toml").write_text("")
    (root / "requirements.lock").write_text("nothing==1\n")
    (root / "ssgan_core" / "__init__.py").write_text("")
    (root / "ssgan_core" / "helper.py").write_text("ACCURACY = 0.8\n")
    (root / "ssgan_core" / "other.py").write_text("")
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters:\n"
        "  - file: book/chapters/01_first\n  - file: book/chapters/02_second\n"
    )
    for name in ("01_first", "02_second"):
        write_chapter(root, name, FINISH.format(name=name))
    return root


def run_chapter(name: str, output: Path, **parameters) -> nbformat.NotebookNode:
    """A chapter of this book, executed at smoke size, in the environment that the builder gives."""
    with clean_environment(REPO):
        return papermill.execute_notebook(
            REPO / "notebooks" / f"{name}.ipynb",
            output,
            parameters={"profile": "smoke"} | parameters,
            cwd=REPO,
            engine_name="reporting",
            on_cell=lambda: None,
            progress_bar=False,
            execution_timeout=300,
            extra_arguments=["--log-level=CRITICAL"],
        )


def put(
    root: Path, number: int, profile: str = "full", accuracy: float = 0.8, data=None, **settings
) -> Chapter:
    """An executed chapter in `book/chapters/`, as the builder leaves it."""
    chapter = chapters_of(root)[number - 1]
    record = {
        "chapter": chapter.name, "profile": profile, "values": {"accuracy": accuracy},
        "settings": {"seed": 0} | settings, "data": {"name": "dots", "checksum": "0123456789"},
        "git": f"abc{profile}", "device": "an H100", "wall_s": 61.5, "python": "3.12.1",
        "finished": "2026-01-02T03:04:05+00:00", "versions": {"torch": "2.9.0"},
    }  # fmt: skip
    notebook = nbformat.v4.new_notebook(cells=list(chapter.notebook.cells))
    output = nbformat.v4.new_output("display_data", data or {"text/plain": f"seen at {profile}"})
    code = notebook.cells[-1]
    code.outputs, code.execution_count = [output], 1
    injected = nbformat.v4.new_code_cell(
        f'profile = "{profile}"', metadata={"tags": ["injected-parameters"]}
    )
    notebook.cells.insert(2, injected)
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    clean(notebook, {"key": "k", "parameters": {"profile": profile}, "device": "an H100"})
    chapter.page.parent.mkdir(exist_ok=True)
    chapter.page.write_text(nbformat.writes(notebook))
    chapter.record.write_text(json.dumps(record))
    return chapter


def chapter_names() -> list[str]:
    return sorted(path.stem for path in (REPO / "notebooks").glob("[0-9]*.ipynb"))


def run_smoke(name: str, folder: Path) -> None:
    """A chapter of this book at smoke size: `out.ipynb` and its `metrics.json` in `folder`."""
    folder.mkdir()
    run_chapter(name, folder / "out.ipynb")
    (record,) = find_records(str(folder / "out.ipynb"))
    shutil.copy(record, folder / "metrics.json")


def make_book(runs: dict[str, Path], root: Path) -> None:
    """This book, built in `root` from chapters that `run_smoke` left."""
    for part in ("notebooks", "book"):
        leave = shutil.ignore_patterns("chapters", "logs", "__pycache__")
        shutil.copytree(REPO / part, root / part, ignore=leave)
    for part in ("_config.yml", "_toc.yml"):
        shutil.copy(REPO / part, root)
    (root / "book/chapters").mkdir()
    for name, run in runs.items():
        notebook = nbformat.read(run / "out.ipynb", as_version=4)
        take_stderr(notebook)
        clean(notebook, {"key": name, "parameters": {"profile": "smoke"}})
        nbformat.write(notebook, Chapter(root, name).page)
        shutil.copy(run / "metrics.json", Chapter(root, name).record)
    build(root, pages_only=True)
