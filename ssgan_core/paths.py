"""Where the project lies, and where a path that a person typed points to."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ssgan_core.errors import InputError


def project_root() -> Path:
    """Folder of the checkout; the current folder when the package is installed elsewhere."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def resolve_path(path: str | os.PathLike) -> Path:
    """Absolute form of a path given by a person; raises InputError for none, and for `~nobody`.

    A relative path is looked up from the current folder, then from the project's root, so that
    the same parameter works in JupyterLab (which starts in `notebooks/`) and in papermill.
    """
    if not str(path).strip():
        raise InputError("a path is empty; give a file or a folder")
    try:
        path = Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"{path} starts with a user that this machine does not know") from error
    if path.is_absolute() or os.path.exists(path):
        return path.resolve()
    return (project_root() / path).resolve()


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Another path, to write to, which becomes `path` at the end: all of it, or nothing changes."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
