"""Make a recorded experiment of `book/recorded/experiments.toml`: runs too long for a page.

python -m book.record cats-and-dogs --photos PATH
python -m book.record cats-and-dogs --photos PATH --jobs 8
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tomllib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from book.common import DATA_VARIABLES, BuildError
from ssgan_core.command_line import tell
from ssgan_core.paths import run_name

ROOT = Path(__file__).resolve().parents[1]


def experiments(root: Path) -> dict[str, dict[str, Any]]:
    """What can be recorded, by name."""
    return tomllib.loads((root / "book/recorded/experiments.toml").read_text(encoding="utf-8"))


def commands(
    root: Path, name: str, data: str | None, more: Sequence[str] = ()
) -> dict[Path, list[str]]:
    """Folder and command, as from `root`, of every run of an experiment, with `more` behind it."""
    experiment = experiments(root)[name]
    each = experiment["each"]
    found = {}
    for values in product(*each.values()):
        options = experiment["options"] | dict(zip(each, values, strict=True))
        for value in values:
            options |= experiment.get("of", {}).get(str(value), {})
        if "data" in experiment:
            options[experiment["data"]] = os.path.relpath(data, root)
        folder = root / "book/recorded" / name / run_name(values)
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        out = folder.relative_to(root).as_posix()
        found[folder] = [experiment["command"], *words, "--out", out, *more]
    return found


def record(
    root: Path, name: str, data: str | None, more: Sequence[str] = (), jobs: int = 1
) -> None:
    """Make the runs of an experiment that are not there yet; an interrupted one goes on.

    `jobs` of them run side by side and share out the processor's cores; small trainings leave much
    of a GPU idle. What a run says is in `run.log` in its folder.

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
    from ssgan_core.sweep import Task, cluster, sweep  # brings PyTorch, which pages need not

    missing = []
    for folder, command in commands(root, name, data, more).items():
        made = folder / "metrics.json"
        if made.exists():
            tell(f"{folder.relative_to(root)}: recorded{_changed(made)}")
        else:
            missing.append(Task(folder, command, made))
    if not missing:
        return
    with contextlib.chdir(root), cluster(None, jobs) as client:
        failed = sweep(missing, client)
    if failed:
        ends = [f"{folder.relative_to(root)}: {end}" for folder, end in failed.items()]
        raise BuildError(f"runs that failed: {'; '.join(ends)}")


def _changed(path: Path) -> str:
    """In what a recorded run differs from today's recipe."""
    from ssgan_core.ssgan.study import settings_then

    try:
        then = settings_then(json.loads(path.read_text("utf-8")))
    except ValueError as error:
        raise BuildError(f"{path} is no JSON ({error}); delete it") from error
    return f" with {then}; to make it anew, delete the folder" if then else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where all runs are recorded, 130 stopped by Ctrl-C, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m book.record", description=__doc__, allow_abbrev=False
    )
    known = experiments(ROOT)
    listing = "; ".join(f"{name}: {found['about']}" for name, found in known.items())
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
        kind = known.get(given.name, {}).get("data")
        if given.name in known and (stray := folders.keys() - {kind}):
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
