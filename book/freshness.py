"""What a chapter's result depends on, as one key: same key, same page, no need to run again."""

import hashlib
import json
import os
import tempfile
from functools import cache
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

from book.discover import Chapter, contents, tags

RECORDED = "reads-recorded"  # tag of a cell that reads book/recorded
CHAPTERS = "reads-chapters"  # tag of a cell that reads what other chapters found
SPEED = "measures-speed"  # tag of a cell that times, and wants the machine for itself


def key_of(chapter: Chapter, parameters: dict[str, Any]) -> str:
    """Hash over source, imported package modules, lock file, parameters and data."""
    root = chapter.root
    inputs = {
        "source": list(contents(chapter.notebook).values()),
        "modules": _digests(root, _imported_modules(chapter)),
        "lock": _digest(root / "requirements.lock"),
        "parameters": parameters,
        "data": {
            name: _listing(root / parameters[name])
            for name in ("photos", "mnist")
            if parameters.get(name)
        },
    }
    if has_tag(chapter, CHAPTERS):
        records = set(chapter.page.parent.glob("*.json")) - {chapter.record}
        inputs["chapters"] = _digests(root, records)
    if has_tag(chapter, RECORDED):
        files = (path for path in (root / "book/recorded").rglob("*") if path.is_file())
        inputs["recorded"] = _digests(root, files)
    if "labeled_set" in chapter.parameters:
        inputs["labeled_sets"] = _digests(root, (root / "notebooks/labeled_sets").glob("*.csv"))
    if labels := parameters.get("labeled_set"):
        inputs["labeled_set"] = _digest(root / labels)
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def has_tag(chapter: Chapter, tag: str) -> bool:
    """Whether one of the chapter's cells carries the tag."""
    return any(tag in tags(cell) for cell in chapter.notebook.cells)


def _imported_modules(chapter: Chapter) -> list[Path]:
    """Files of `ssgan_core` that the chapter imports, directly or through others, and the scripts
    and styles beside them."""
    code = "\n".join(
        line
        for cell in chapter.notebook.cells
        if cell.cell_type == "code"
        for line in cell.source.splitlines()
        if not line.lstrip().startswith(("%", "!"))
    )
    chapter.parse(code)
    finder = ModuleFinder(path=[str(chapter.root)])
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "chapter.py")
        script.write_text(code, encoding="utf-8")
        finder.run_script(str(script))
    modules = {
        Path(module.__file__)
        for name, module in finder.modules.items()
        if name.split(".")[0] == "ssgan_core" and module.__file__
    }
    scripts = {path for file in modules for path in file.parent.glob("*.[cj]s*")}
    return [*modules, *scripts]


def _digests(root: Path, paths: Any) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): _digest(path) for path in sorted(paths)}


@cache
def _digest(path: Path) -> str:
    data = path.read_bytes() if path.exists() else b""  # what a page was made from may be gone
    return hashlib.sha256(data).hexdigest()


@cache
def _listing(folder: Path) -> str:
    """Cheap fingerprint of a data folder: names, sizes and modification times."""
    digest = hashlib.sha256()
    for base, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(base, name)
            stat = os.stat(path, follow_symlinks=os.path.exists(path))  # a link may lead nowhere
            line = f"{os.path.relpath(path, folder)}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
            digest.update(os.fsencode(line))
    return digest.hexdigest()
