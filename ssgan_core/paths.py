"""Where the project lies, and where a path that a person typed points to."""

import contextlib
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ssgan_core.errors import InputError, explain


def project_root() -> Path:
    """Folder of the checkout; the current folder when the package is installed elsewhere."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def resolve_path(path: str | os.PathLike) -> Path:
    """Absolute form of a path given by a person, to read; InputError as `output_path` raises.

    A relative path is looked up from the current folder, then from the project's root, so that
    the same parameter works in JupyterLab (which starts in `notebooks/`) and in papermill.
    """
    here = output_path(path)
    if os.path.exists(here) or Path(path).expanduser().is_absolute():
        return here
    return (project_root() / path).resolve()


def output_path(path: str | os.PathLike) -> Path:
    """Absolute form of a path given by a person, to write: a relative one begins where they are.

    Raises InputError for none, and for `~nobody`.
    """
    if not str(path).strip():
        raise InputError("a path is empty; give a file or a folder")
    try:
        return Path(path).expanduser().resolve()
    except RuntimeError as error:
        raise InputError(f"{path} starts with a user that this machine does not know") from error


def output_file(path: str | os.PathLike, *endings: str) -> Path:
    """Absolute form of the path of a file to write, as `output_path` has it.

    Raises InputError also where its name does not end in one of `endings`, such as `.csv`: a file
    of another kind would be lost there; and where its folder is missing.
    """
    file = output_path(path)
    if file.suffix.lower() not in endings:
        raise InputError(
            f"{path} cannot be written: its name ends in '{file.suffix}'; "
            f"accepted: {', '.join(endings)}"
        )
    if not file.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {file.parent}")
    return file


def run_name(values: Iterable[object]) -> str:
    """Name of the folder of one run of many: in what it differs, a labeled set by its file name."""
    return "-".join(Path(str(value)).name.removesuffix(".csv") for value in values)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A hidden path beside `path`, for a file or a folder in the making.

    What is there at the end is removed, and so is now what killed processes of this host left.
    """
    prefix = f".{path.name}.{platform.node()}."
    if path.parent.is_dir():
        for other in path.parent.iterdir():
            number = other.name.removeprefix(prefix)
            if other.name != number and number.isdecimal() and not _works(int(number)):
                with contextlib.suppress(OSError):  # another user's
                    _remove(other)
    partial = path.with_name(f"{prefix}{os.getpid()}")
    try:
        yield partial
    finally:
        _remove(partial)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Another path, to write to, which becomes `path` at the end: all of it, or nothing changes.

    Raises OSError, which names `path` and says what is kept, where it cannot be written.
    """
    try:
        with beside(path) as partial:
            yield partial
            os.replace(partial, path)
    except OSError as error:
        kept = "; the file from before is kept" if path.is_file() else ""
        raise OSError(error.errno, explain(error) + kept, str(path)) from error


class Held(Exception):
    """Another process holds a lock; its number and its host."""


def hold(path: Path) -> FileLock:
    """A lock at `path`: this process's until it ends, however it ends, or releases it.

    The file tells its process and host. Raises Held where another process has it.
    """
    lock = FileLock(path, is_singleton=True, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise Held(*[*path.read_text("utf-8").split(), "?", "?"][:2]) from error
    path.write_text(f"{os.getpid()}\n{platform.node()}\n", encoding="utf-8")
    return lock


def _works(process: int) -> bool:
    """Whether another process of this host has this number."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return process != os.getpid()


def _remove(path: Path) -> None:
    """Remove a file or a folder; it may be gone."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
