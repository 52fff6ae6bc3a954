"""One chapter through papermill: a whole page, or none."""

import ctypes
import json
import os
import signal
import sys
import textwrap
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from traitlets import Int
from traitlets.config import Config

from book.common import BuildError, say
from book.discover import METADATA, Chapter
from ssgan_core.paths import whole_file
from ssgan_core.process import threads_of

CELL_TIMEOUT_S = {"smoke": 600, "quick": 3600, "full": 7 * 24 * 3600}
KEY = "ssgan_book"  # where the page's metadata says what it was made from
KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


_kernels: weakref.WeakSet["OwnKernel"] = weakref.WeakSet()


class OwnKernel(AsyncKernelManager):
    """A kernel in this interpreter, whatever is registered on the machine, that ends with it."""

    threads = Int(threads_of(1), help="threads it computes with").tag(config=True)

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])

    async def start_kernel(self, **kwargs: Any) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": str(self.threads)}
        _kernels.add(self)
        await super().start_kernel(preexec_fn=end_with_parent, env=environment, **kwargs)


def kill_kernels() -> None:
    """Kill the kernels of all chapters, each of which fails by that."""
    for kernel in list(_kernels):
        process = kernel.provisioner and kernel.provisioner.process
        if process:
            process.kill()


_libc = ctypes.CDLL(None)


def end_with_parent() -> None:
    """Be killed when the parent is. A kernel looks for it itself, but not in a long call of C."""
    if sys.platform == "linux":
        _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class ReportingEngine(NBClientEngine):
    """papermill's own engine, in this interpreter, which also says when a cell is done."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, on_cell: Callable[[], None], **kwargs: Any
    ) -> None:
        complete = nb_man.cell_complete

        def cell_complete(*args: Any, **kwargs: Any) -> None:
            complete(*args, **kwargs)
            on_cell()

        nb_man.cell_complete = cell_complete
        super().execute_managed_notebook(
            nb_man, kernel_name, kernel_manager_class=OwnKernel, **kwargs
        )


papermill_engines.register("reporting", ReportingEngine)


def run_chapter(
    chapter: Chapter, parameters: dict[str, Any], key: str, label: str, threads: int
) -> None:
    """Execute a chapter on so many threads and put its page and record in place.

    Raises
    ------
    BuildError
        The chapter failed: its page is gone, its log and partial notebook lie in `book/logs/`.
    """
    partial = chapter.log(".ipynb")
    for folder in (partial.parent, chapter.page.parent):
        folder.mkdir(parents=True, exist_ok=True)
    before = _records(chapter)  # not the clock, which may be set back
    try:
        notebook = _execute(chapter, parameters, partial, label, threads)
        if note := take_stderr(notebook):
            say(f"{label}   note: {note} ({chapter.log('.log').relative_to(chapter.root)})")
        metrics = _metrics(chapter, before)
        about = {"key": key, "parameters": parameters, "device": metrics["device"]}
        clean(notebook, about)
        _replace(chapter.record, json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
        _replace(chapter.page, nbformat.writes(notebook) + "\n")
        partial.unlink()
    except BaseException as error:
        remove_page(chapter)
        if not isinstance(error, Exception):
            raise
        raise BuildError(
            f"{chapter.name}: {_one_line(error).rstrip('.')} (see book/logs/)"
        ) from error


def remove_page(chapter: Chapter) -> None:
    """Leave no trace of an outdated or failed page, in the built book neither."""
    html = chapter.root / "_build/html/book/chapters" / f"{chapter.name}.html"
    for path in (chapter.page, chapter.record, html):
        path.unlink(missing_ok=True)


def write_placeholder(chapter: Chapter) -> None:
    """A page for a chapter that this build did not run, so that references to it hold."""
    text = f"""{chapter.heading}

:::{{admonition}} Not run in this build
:class: not-run
This book was built from a selection of its chapters, and this one was not among them. Run it with

```bash
make book ONLY={chapter.number}
```
:::

{chapter.targets}"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    clean(notebook, {"key": None})
    remove_page(chapter)
    chapter.page.parent.mkdir(parents=True, exist_ok=True)
    _replace(chapter.page, nbformat.writes(notebook) + "\n")


def read_about(chapter: Chapter) -> dict[str, Any]:
    """What the page's metadata says it was made from; empty for no page or a placeholder."""
    if not (chapter.page.exists() and chapter.record.exists()):
        return {}
    return dict(nbformat.read(chapter.page, as_version=4).metadata.get(KEY, {}))


def _execute(
    chapter: Chapter, parameters: dict[str, Any], partial: Path, label: str, threads: int
) -> nbformat.NotebookNode:
    connection = chapter.log(".kernel.json")
    total = len(chapter.notebook.cells) + 1  # papermill adds the cell with the parameters
    say(f"{label} {chapter.name}: {total} cells, {parameters['profile']}")
    started = said = time.monotonic()
    with open(chapter.log(".log"), "w", encoding="utf-8") as log:
        done = 0

        def on_cell() -> None:
            nonlocal done, said
            done += 1
            if time.monotonic() - said >= 20:
                said = time.monotonic()
                say(f"{label}   cell {done}/{total}, {said - started:.0f} s")

        notebook = papermill.execute_notebook(
            _literal(chapter.source),
            _literal(partial),
            parameters=parameters,
            cwd=chapter.root,
            engine_name="reporting",
            kernel_name=KERNEL["name"],
            language=KERNEL["language"],
            on_cell=on_cell,
            progress_bar=False,
            execution_timeout=CELL_TIMEOUT_S[parameters["profile"]],
            stdout_file=log,
            stderr_file=log,
            extra_arguments=["--log-level=CRITICAL"],  # no word on TCP, nor on a stop in a cell
            config=Config(OwnKernel={"connection_file": str(connection), "threads": threads}),
        )
    say(f"{label}   done in {time.monotonic() - started:.0f} s")
    return notebook


def take_stderr(notebook: nbformat.NotebookNode) -> str:
    """Take out of the page what its cells wrote to stderr; what was taken, in one line.

    An old driver or a full disk makes libraries say something. That is no reason to throw a
    finished chapter away, and a reader has no use for it.
    """
    said = {}
    for number, cell in enumerate(notebook.cells, 1):
        outputs = cell.get("outputs", [])
        if text := "".join(o["text"] for o in outputs if o.get("name") == "stderr"):
            line = next(iter(text.strip().splitlines()), "an empty line")
            said[number] = textwrap.shorten(line, 160, placeholder=" …")
            cell.outputs = [o for o in outputs if o.get("name") != "stderr"]
    if not said:
        return ""
    number, first = next(iter(said.items()))
    others = f", {len(said) - 1} more did" if len(said) > 1 else ""
    return f"cell {number} wrote to stderr: {first}{others}"


def _records(chapter: Chapter) -> dict[Path, tuple[int, int]]:
    """The files `metrics.json` of the chapter's runs, each with what changes when it is written."""
    paths = (chapter.root / "runs" / chapter.name).glob("*/metrics.json")
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def _metrics(chapter: Chapter, before: dict[Path, tuple[int, int]]) -> dict[str, Any]:
    """The `metrics.json` that this run of the chapter wrote."""
    written = [path for path, mark in _records(chapter).items() if before.get(path) != mark]
    if not written:
        raise BuildError(f"wrote no runs/{chapter.name}/*/metrics.json (Run.finish is missing)")
    return json.loads(written[-1].read_text(encoding="utf-8"))


def clean(notebook: nbformat.NotebookNode, about: dict[str, Any]) -> None:
    """Drop what differs between two runs with the same outputs; say what the page is made from."""
    kept = {k: v for k, v in notebook.metadata.items() if k == "language_info"}
    notebook.metadata = kept | {"kernelspec": KERNEL, KEY: about}
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
        cell.metadata = {key: cell.metadata[key] for key in METADATA if cell.metadata.get(key)}


def _literal(path: Path) -> str:
    """A path as papermill takes it, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _replace(path: Path, text: str) -> None:
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _one_line(error: Exception) -> str:
    if isinstance(error, PapermillExecutionError):
        return f"cell {error.cell_index + 1}: {error.ename}: {' '.join(error.evalue.split())}"
    if isinstance(error, BuildError):
        return str(error)
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
