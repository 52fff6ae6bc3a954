"""Make a recorded experiment of `book/recorded/experiments.toml`: runs too long for a page.

python -m book.record cats-and-dogs --photos PATH
"""

import argparse
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from book.discover import DATA_VARIABLES, BuildError

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
        if "data" in experiment:
            options[experiment["data"]] = os.path.relpath(data, root)
        folder = root / "book/recorded" / name / "-".join(Path(str(v)).stem for v in values)
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        module = [sys.executable, "-m", experiment["command"]]
        out = folder.relative_to(root).as_posix()
        found[folder] = [*module, *words, "--out", out, *more]
    return found


def record(root: Path, name: str, data: str | None, more: Sequence[str] = ()) -> None:
    """Make the runs of an experiment that are not there yet; an interrupted one goes on.

    Raises
    ------
    BuildError
        No such experiment, no folder of data, a record that is no JSON, or a run that failed.
    """
    from ssgan_core.recorded import settings_then  # brings PyTorch: only recording waits for it

    known = experiments(root)
    if name not in known:
        raise BuildError(f"experiment {name!r} is unknown; accepted: {', '.join(known)}")
    kind = known[name].get("data")
    if kind and (not data or not Path(data).is_dir()):
        raise BuildError(f"--{kind} is {data}; {name} needs the folder of data that it names")
    for folder, command in commands(root, name, data, more).items():
        path = folder / "metrics.json"
        if path.exists():
            try:
                then = settings_then(json.loads(path.read_text("utf-8")))
            except ValueError as error:
                raise BuildError(f"{path} is no JSON ({error}); delete it") from error
            changed = f" with {then}; to make it anew, delete the folder" if then else ""
            print(f"{folder.relative_to(root)}: recorded{changed}", flush=True)
            continue
        print(f"{folder.relative_to(root)}: {' '.join(command[1:])}", flush=True)
        if status := _run(command, root):
            raise BuildError(f"{folder.relative_to(root)}: the run ended with status {status}")


def _run(command: Sequence[str], root: Path) -> int:
    """Exit status of a command that gets the time to save what it has at Ctrl-C."""
    exported = DATA_VARIABLES.values()  # an experiment reads what it names, or nothing
    own = {name: value for name, value in os.environ.items() if name not in exported}
    process = subprocess.Popen(command, cwd=root, env=own)
    try:
        return process.wait()
    except KeyboardInterrupt:  # the terminal has sent it to both; `subprocess.run` would kill it
        process.wait()
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where all runs are recorded, 130 stopped by Ctrl-C, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m book.record", description=__doc__, allow_abbrev=False
    )
    listing = "; ".join(f"{name}: {found['about']}" for name, found in experiments(ROOT).items())
    parser.add_argument("name", help=listing)
    for kind in DATA_VARIABLES:
        parser.add_argument(f"--{kind}", help=f"folder of {kind}, where one is read")
    given, more = parser.parse_known_args(arguments)
    try:
        folders = {kind: getattr(given, kind) for kind in DATA_VARIABLES if getattr(given, kind)}
        kind = experiments(ROOT).get(given.name, {}).get("data")
        if stray := folders.keys() - {kind}:
            reads = f"--{kind}" if kind else "no folder of data"
            raise BuildError(f"{given.name} reads {reads}, and was given --{stray.pop()}")
        record(ROOT, given.name, folders.get(kind), more)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
