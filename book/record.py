"""Make a recorded experiment of `book/recorded/experiments.toml`: runs too long for a page.

python -m book.record cats-and-dogs --photos PATH
python -m book.record cats-and-dogs --photos PATH --jobs 8
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

from book.common import DATA_VARIABLES, BuildError
from ssgan_core.paths import run_name
from ssgan_core.process import threads_of

ROOT = Path(__file__).resolve().parents[1]


def experiments(root: Path) -> dict[str, dict[str, Any]]:
    """What can be recorded, by name."""
    return tomllib.loads((root / "book/recorded/experiments.toml").read_text(encoding="utf-8"))


def commands(
    root: Path, name: str, data: str | None, more: Sequence[str] = ()
) -> dict[Path, list[str]]:
    """Folder and command line, from `root`, of every run of an experiment, with `more` behind."""
    experiment = experiments(root)[name]
    each = experiment["each"]
    found = {}
    for values in product(*each.values()):
        options = experiment["options"] | dict(zip(each, values, strict=True))
        for value in values:
            options |= experiment.get("of", {}).get(value, {})
        if "data" in experiment:
            options[experiment["data"]] = os.path.relpath(data, root)
        folder = root / "book/recorded" / name / run_name(values)
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        module = [sys.executable, "-m", experiment["command"]]
        out = folder.relative_to(root).as_posix()
        found[folder] = [*module, *words, "--out", out, *more]
    return found


def record(
    root: Path, name: str, data: str | None, more: Sequence[str] = (), jobs: int = 1
) -> None:
    """Make the runs of an experiment that are not there yet; an interrupted one goes on.

    With `jobs` so many of them run side by side, share out the processor's cores and write what
    they say to `run.log` in their folders: small trainings leave much of a GPU idle.

    Raises
    ------
    BuildError
        No such experiment, no folder of data, a record that is no JSON, or runs that failed, which
        keep no other from being made.
    """
    known = experiments(root)
    if name not in known:
        raise BuildError(f"experiment {name!r} is unknown; accepted: {', '.join(known)}")
    kind = known[name].get("data")
    if kind and (not data or not Path(data).is_dir()):
        raise BuildError(f"--{kind} is {data}; {name} needs the folder of data that it names")
    missing = {}
    for folder, command in commands(root, name, data, more).items():
        if (folder / "metrics.json").exists():
            print(f"{folder.relative_to(root)}: recorded{_changed(folder)}", flush=True)
        else:
            missing[folder] = command

    def make(folder: Path) -> int:
        command = missing[folder]
        print(f"{folder.relative_to(root)}: {' '.join(command[1:])}", flush=True)
        return _run(command, root, jobs, folder / "run.log" if jobs > 1 else None)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            ends = dict(zip(missing, pool.map(make, missing), strict=True))
        except KeyboardInterrupt:  # the runs have got it too, and the time to save what they have
            pool.shutdown(cancel_futures=True)
            raise
    if failed := [f"{f.relative_to(root)}: status {end}" for f, end in ends.items() if end]:
        raise BuildError(f"runs that failed: {'; '.join(failed)}")


def _changed(folder: Path) -> str:
    """In what a recorded run differs from today's recipe."""
    from ssgan_core.ssgan.study import settings_then  # brings PyTorch: only recording waits for it

    path = folder / "metrics.json"
    try:
        then = settings_then(json.loads(path.read_text("utf-8")))
    except ValueError as error:
        raise BuildError(f"{path} is no JSON ({error}); delete it") from error
    return f" with {then}; to make it anew, delete the folder" if then else ""


def _run(command: Sequence[str], root: Path, jobs: int = 1, log: Path | None = None) -> int:
    """Exit status of a command, which reads the data that it names and no other."""
    exported = DATA_VARIABLES.values()
    own = {name: value for name, value in os.environ.items() if name not in exported}
    if jobs > 1:
        own["OMP_NUM_THREADS"] = str(threads_of(jobs))
    with contextlib.ExitStack() as stack:
        output = None
        if log:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = stack.enter_context(log.open("a", encoding="utf-8"))
        return subprocess.run(command, cwd=root, env=own, stdout=output, stderr=output).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where all runs are recorded, 130 stopped by Ctrl-C, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m book.record", description=__doc__, allow_abbrev=False
    )
    listing = "; ".join(f"{name}: {found['about']}" for name, found in experiments(ROOT).items())
    parser.add_argument("name", help=listing)
    for kind in DATA_VARIABLES:
        parser.add_argument(f"--{kind}", help=f"folder of {kind}, where one is read")
    parser.add_argument("--jobs", type=int, default=1, help="runs made side by side")
    given, more = parser.parse_known_args(arguments)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as `ssgan_core` left it for the imports
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if given.jobs < 1:
            raise BuildError(f"--jobs is {given.jobs}; accepted: 1 and more")
        folders = {kind: getattr(given, kind) for kind in DATA_VARIABLES if getattr(given, kind)}
        kind = experiments(ROOT).get(given.name, {}).get("data")
        if stray := folders.keys() - {kind}:
            reads = f"--{kind}" if kind else "no folder of data"
            raise BuildError(f"{given.name} reads {reads}, and was given --{stray.pop()}")
        record(ROOT, given.name, folders.get(kind), more, given.jobs)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
