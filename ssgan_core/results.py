"""What a run leaves behind: `metrics.json` with its provenance; many runs as one tidy frame.

A frame has a row a run: `method`, `seed`, `last`, `best`, `last_raw`, `steps`, `minutes`, `probe`
and `validation` as far as they are known, and of recorded runs where they come from.
"""

import ast
import dataclasses
import hashlib
import json
import platform
import re
import reprlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from filelock import FileLock

from ssgan_core.device import Hardware, broadcast, rank
from ssgan_core.errors import InputError, apart, explain
from ssgan_core.intervals import format_ci
from ssgan_core.paths import Held, hold, project_root, run_name, whole_file
from ssgan_core.settings import Settings

PACKAGES = ("torch", "torchvision", "nvidia-dali-cuda120", "numpy", "scikit-learn")
LOCK = ".lock"  # in a run's folder while a process is at work there


@dataclasses.dataclass
class Run:
    """One run of a chapter or command: its folder, its checkpoints, its metrics.

    The folder's name depends only on the settings and the data, so the same command finds its
    own checkpoints again after it was killed. Checkpoints written by other code of its room, or of
    what that imports, are not found, and `finish` removes them all. `recorded` says in a line what
    the folder holds already of this very run, where a person has named it.
    """

    chapter: str
    settings: Settings
    data: Mapping[str, Any]
    folder: Path
    resumed: bool
    started: float
    origin: dict[str, Any]
    recorded: str | None = None
    lock: FileLock | None = None

    @classmethod
    def open(
        cls,
        chapter: str,
        settings: Settings,
        data: Mapping[str, Any],
        root: Path | None = None,
        folder: Path | None = None,
    ) -> Self:
        """Open (or reopen) the run folder `runs/<chapter>/<profile>-<key>` below `root`; with a
        labeled set `<profile>-<set>-<key>`.

        `folder` names another one, in which no run follows another: what is recorded there stays.

        `data` says what the run reads: at least its `name` and its `checksum`, and where labels
        were chosen their `labels_checksum`. InputError where the folder cannot be written, another
        process is at work there, or holds the record of another run.
        """
        text = json.dumps([settings.choices, _checksums(data)], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:8]
        root = root or project_root() / "runs"
        told = (settings.profile, getattr(settings, "labeled_set", None), key)
        place = folder or root / chapter / run_name(filter(None, told))
        started = time.perf_counter()
        run = cls(chapter, settings, dict(data), place, False, started, provenance())
        if folder:
            run.recorded = run._recorded()
        if not run.recorded:
            run.lock = claim(place)
        run.resumed = any(run._checkpoints.glob("[!.]*"))
        return run

    def _recorded(self) -> str | None:
        """What the folder's `metrics.json` says of this run; None where there is none.

        Raises InputError where it is that of another run.
        """
        path = self.folder / "metrics.json"
        here = {"chapter": self.chapter} | self.settings.choices | _checksums(self.data)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            there = {"chapter": found["chapter"]} | found["settings"] | _checksums(found["data"])
            differ = apart(there, here, reprlib.repr)
            values = {} if differ else found["values"]
            told = ", ".join(f"{name} {format_ci(runs['last'])}" for name, runs in values.items())
            finished = found["finished"]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} cannot be read as a record ({type(error).__name__}: {error}); "
                "give another --out, or remove the folder"
            ) from error
        if differ:
            raise InputError(
                f"{self.folder} holds another run, finished {finished} ({differ}); "
                "give another --out, or remove the folder"
            )
        return f"already done, finished {finished}: test accuracy {told}; {path}"

    @property
    def _checkpoints(self) -> Path:
        """Their folder, named after the code of the room that these settings belong to."""
        room = ".".join(type(self.settings).__module__.split(".")[:2])
        return self.folder / "checkpoints" / source_fingerprint(room)

    def checkpoint(self, name: str) -> Path:
        """Path of a resumable checkpoint of this run."""
        path = self._checkpoints / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def finish(self, values: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Write `metrics.json`, remove the checkpoints and return what was written.

        `more` is what else a file of this kind tells, in JSON's types.
        """
        metrics = {
            "chapter": self.chapter,
            "profile": self.settings.profile,
            "values": _plain(values),
            "settings": self.settings.model_dump(),
            **more,
            "data": self.data,
            **self.origin,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "resumed": self.resumed,
            "wall_s": round(time.perf_counter() - self.started, 1),
        }
        write_json(self.folder / "metrics.json", metrics)
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
        if self.lock:
            # Removed while it is held: who has opened it meanwhile will see that it is gone.
            Path(self.lock.lock_file).unlink(missing_ok=True)
            self.lock.release(force=True)
        return metrics


def claim(folder: Path) -> FileLock | None:
    """Make a folder and keep other processes out until this one ends, or `Run.finish` lets go.

    Of processes that train together the first does so, and speaks for all. InputError where the
    folder cannot be written or another process is at work there.
    """
    lock, refused = None, ""
    if rank() == 0:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = hold(folder / LOCK)
        except Held as other:
            process, host = other.args
            refused = f"process {process} on {host} is at work in {folder}; "
            refused += "wait for its end, or end it"
        except OSError as error:
            refused = f"the folder {folder} cannot be written: {explain(error)}"
    if broadcast(bool(refused))[0]:
        raise InputError(refused) if refused else SystemExit(2)
    return lock


def _checksums(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of a run's data decides what it computes."""
    always = {name: data.get(name) for name in ("checksum", "labels_checksum")}
    return always | ({"features": data["features"]} if "features" in data else {})


def provenance() -> dict[str, Any]:
    """Commit, package source, versions and device of this process: of now, not of an hour later."""
    return {
        "git": _git_commit(),
        "source": source_fingerprint(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "device": device_name(),
    }


def write_json(path: Path, content: Any) -> None:
    """Write JSON so that the file is either the old one or the whole new one; NaN becomes null."""
    text = json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as partial:
        # A name that is no UTF-8 holds surrogates; their escapes are JSON's own.
        partial.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


@cache
def source_fingerprint(place: str = "ssgan_core") -> str:
    """Hash of the code that a room or a module of the package runs: its own and what that imports.

    Comments, docstrings and figures do not count: they change no result. `place` is dotted,
    `ssgan_core.plane`; one outside the package stands for all of it.
    """
    root, codes = Path(__file__).parents[1], {}
    places = [place if place.startswith("ssgan_core") else "ssgan_core"]
    while places:
        path = root.joinpath(*places.pop().split("."))
        for file in path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]:
            if file.exists() and file not in codes and file.name not in ("figures.py", "plots.py"):
                tree = ast.parse(file.read_bytes())
                codes[file] = _code(tree)
                places += _imports(tree, root)
    text = "".join(f"{file.relative_to(root)}\0{codes[file]}\n" for file in sorted(codes))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _code(tree: ast.Module) -> str:
    """A module without its comments and docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(None)
    return ast.dump(tree)


def _imports(tree: ast.Module, root: Path) -> Iterator[str]:
    """The modules of the package that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ssgan_core"):
            package = root.joinpath(*node.module.split(".")).is_dir()
            yield from [f"{node.module}.{a.name}" for a in node.names] if package else [node.module]


def device_name() -> str:
    """The GPU's name, or the processor's, whether it computes in bf16, and its threads.

    `AMD EPYC, 2 threads`, `Intel Xeon with bf16, 1 thread`: single runs part between the two.
    """
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    named = re.search("model name.*?:(.*)", info.read_text() if info.exists() else "")
    model = named[1].strip() if named else platform.processor() or platform.machine()
    threads, able = torch.get_num_threads(), " with bf16" if Hardware.detect().bf16 else ""
    return f"{model}{able}, {threads} thread{'s' if threads > 1 else ''}"


def tidy(values: Mapping[str, Mapping[str, Sequence]], seed: int) -> pd.DataFrame:
    """One row a run of values by method, column and run, as `metrics.json` holds them.

    Columns are `method`, `seed` (run i has `seed + i`) and those of the values, of which `last`,
    the test accuracy at the last step, has to be there.
    """
    return pd.DataFrame(
        {"method": method, "seed": seed + i} | {name: runs[i] for name, runs in columns.items()}
        for method, columns in values.items()
        for i in range(len(columns["last"]))
    )


Then = Callable[[Mapping[str, Any]], str]


def read_record(
    path: Path, then: Then = lambda metrics: ""
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a run wrote to its `metrics.json`, and of that a row for each training whose test
    accuracy at the last step it tells; none where it is about something else.

    The columns of a row are those of `read_recorded`, which says what `then` is. Raises InputError
    for a file that is no such record.
    """
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        origin = {name: metrics[name] for name in ("device", "git", "finished")}
        origin |= {"data": metrics["data"]["name"], "remark": metrics.get("remark", "")}
        # A labeled set may move photos into the test or out of it: then that is its own.
        own = "labels_checksum" if metrics["data"].get("moved") else "checksum"
        origin["labeled_set"] = labeled_set(metrics)
        origin["tested"] = str(metrics["data"].get(own))
        origin["test_photos"] = str(metrics["data"].get("test_photos", ""))
        told = {
            name: columns
            for name, columns in metrics["values"].items()
            if isinstance(columns, dict) and isinstance(columns.get("last"), list)
        }
        if not told:
            return metrics, []
        runs = tidy(told, metrics["settings"]["seed"]).astype({"last": float})
        for marked in runs.get("correct", pd.Series(dtype=object)).dropna():
            _require_marks(marked, len(origin["test_photos"].split()))
        runs["method"] += f" ({words})" if (words := then(metrics)) else ""
        return metrics, [metrics["settings"] | run | origin for run in runs.to_dict("records")]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {explain(error)}") from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is no record of a training ({type(error).__name__}: {error}); it is "
            "what the chapters, ssgan_core.train and ssgan_core.train_digits write"
        ) from error


def _require_marks(marked: Any, photos: int) -> None:
    """ValueError for what is not `intervals.marks` of so many test photos; of any number for 0."""
    pattern = f"[01]{{{photos}}}" if photos else "[01]+"
    if not (isinstance(marked, str) and re.fullmatch(pattern, marked)):
        each = f"each of {photos} test photos" if photos else "each test image"
        raise ValueError(f"`correct` is {reprlib.repr(marked)}; accepted: a 0 or 1 for {each}")


def labeled_set(metrics: Mapping[str, Any]) -> str:
    """Which labels a run had, in words: how many a seed drew, or the file's name and checksum.

    Where sets are compared, the method says how they were chosen, and not all were at random.
    """
    if not (file := metrics["settings"].get("labeled_set")):
        random = "" if metrics.get("chapter") in CHOSEN else "random "
        return f"{metrics['settings'].get('labels')} {random}labels"
    checksum = metrics["data"].get("labels_checksum", "")[:6]
    return Path(file).stem + (f" ({checksum})" if checksum else "")


CHOSEN = ("probe", "09_which_hundred")  # runs whose methods are ways to choose the labels


def read_recorded(folder: Path, then: Then = lambda metrics: "") -> pd.DataFrame:
    """One row for each training that a `metrics.json` below a folder tells of, by their paths.

    Columns are the settings (`seed` that of this repetition, `labeled_set` in words that tell
    labels apart), `method`, its values (`last`, `best`, `minutes` of training, …), where it comes
    from: `data`, `device`, `git`, `finished`, and a `remark` that somebody has added to the file;
    `tested` is the same where the test photos are, `test_photos` names them where that is known.
    No such folder, or an empty one, gives an empty frame. A training of which `then` says what has
    changed since is another method, whose name tells it: `ssgan (small_first 0.85)`. Raises
    InputError for a file that tells no test accuracy.
    """
    rows = []
    for path in sorted(folder.rglob("metrics.json")):
        _, found = read_record(path, then)
        if not found:
            raise InputError(f"{path} is no record of a training: it tells no test accuracy")
        rows += found
    return pd.DataFrame(rows)


def origin_in_words(runs: pd.DataFrame) -> str:
    """How many runs were recorded, what they took, and where, when and from which code they ran."""

    def span(values: pd.Series, form: str) -> str:
        return " to ".join(dict.fromkeys(format(v, form) for v in (values.min(), values.max())))

    count, commits = len(runs), ", ".join(runs.git.str[:7].unique())
    return (
        f"{count} run{'s' * (count != 1)} of {span(runs.steps, ',.0f')} steps and "
        f"{span(runs.minutes, '.0f')} minutes on {'; '.join(runs.device.unique())}; "
        f"commit{'s' * (',' in commits)} {commits}; {span(runs.finished.str[:10], '')}"
    )


def _plain(value: Any) -> Any:
    """Numpy, tensor and tuple values as JSON types; a NaN becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic, torch.Tensor)):
        return _plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _git_commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=project_root(), capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        # `book/recorded` may be where this is written; new modules count in `source`.
        changes = git("status", "-s", "--untracked-files=no", "--", ".", ":!book/recorded")
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
