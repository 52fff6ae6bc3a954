"""What a run leaves behind: `metrics.json` with its provenance, intervals and tables."""

import dataclasses
import hashlib
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy import stats

from ssgan_core.errors import InputError
from ssgan_core.paths import project_root, whole_file
from ssgan_core.settings import Settings

PACKAGES = ("torch", "torchvision", "nvidia-dali-cuda120", "numpy", "scikit-learn")


@dataclasses.dataclass
class Run:
    """One run of a chapter or command: its folder, its checkpoints, its metrics.

    The folder's name depends only on the settings and the data, so the same command finds its
    own checkpoints again after it was killed. Checkpoints written by other package code are not
    found, and `finish` removes them all.
    """

    chapter: str
    settings: Settings
    data: Mapping[str, Any]
    folder: Path
    resumed: bool
    started: float
    origin: dict[str, Any]

    @classmethod
    def open(
        cls,
        chapter: str,
        settings: Settings,
        data: Mapping[str, Any],
        root: Path | None = None,
        folder: Path | None = None,
    ) -> Self:
        """Open (or reopen) the run folder `runs/<chapter>/<profile>-<key>` below `root`.

        `folder` names another one.

        `data` says what the run reads: at least its `name` and its `checksum`. InputError where
        the folder cannot be made.
        """
        text = json.dumps([settings.model_dump(), data["checksum"]], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:8]
        root = root or project_root() / "runs"
        folder = folder or root / chapter / f"{settings.profile}-{key}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {folder} cannot be made: {error.strerror}") from error
        resumed = any((folder / "checkpoints" / source_fingerprint()).glob("*"))
        started = time.perf_counter()
        return cls(chapter, settings, dict(data), folder, resumed, started, provenance())

    def checkpoint(self, name: str) -> Path:
        """Path of a resumable checkpoint of this run."""
        path = self.folder / "checkpoints" / source_fingerprint() / name
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
        return metrics


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
    """Write JSON so that the file is either the old one or the whole new one."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


@cache
def source_fingerprint() -> str:
    """Hash over the package's Python files: results of other code are other results."""
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def device_name() -> str:
    """The GPU's name, or the processor's with its number of threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    threads = torch.get_num_threads()
    return f"{model}, {threads} thread{'s' if threads > 1 else ''}"


def mean_ci(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean of independent runs and the half width of its Student-t interval.

    One run has no spread: the half width is then `nan`.
    """
    values = np.asarray(values, dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan")
    error = values.std(ddof=1) / np.sqrt(len(values))
    return mean, float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * error)


def wilson_ci(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson interval of an accuracy counted on `total` test images (Wilson 1927)."""
    interval = stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def format_ci(values: Sequence[float], digits: int = 1) -> str:
    """Percent with its interval, `71.3 ± 2.4 %`; a single run is printed without one."""
    mean, half = mean_ci(values)
    text = f"{100 * mean:.{digits}f}"
    return f"{text} %" if np.isnan(half) else f"{text} ± {100 * half:.{digits}f} %"


def paired_gain(values: Sequence[float], others: Sequence[float]) -> tuple[str, str]:
    """What accuracies gain over others of the same draws, and what that allows to say.

    The mean difference in points with its 95 % interval, `+2.1 ± 1.4 points`, and a sentence.
    """
    mean, half = mean_ci(100 * (np.asarray(values) - np.asarray(others)))
    if np.isnan(half):
        return f"{mean:+.1f} points", "One draw has no spread: this is an anecdote, not a result."
    if abs(mean) <= half:
        verdict = "The interval contains zero: these draws do not show a difference."
    else:
        verdict = "The interval excludes zero."
    return f"{round(mean, 1) + 0.0:+.1f} ± {half:.1f} points", verdict  # + 0.0: never -0.0


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
        changes = git("status", "-s", "--", ".", ":!book/recorded")  # may be where this is written
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
