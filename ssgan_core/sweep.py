"""Many trainings, or reruns of a chapter: every recipe with every labeled set and every seed.

python -m ssgan_core.sweep runs/sets --labeled-set a.csv b.csv --seed 0 1 2 --photos PATH --size 64
python -m ssgan_core.sweep runs/pages --chapter 08 --labeled-set a.csv b.csv --photos PATH

Other options, those of ssgan_core.train or of the chapter, are every run's. Runs that are there
already are not made again; one that was interrupted goes on.
"""

import argparse
import contextlib
import logging
import os
import runpy
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from dask.distributed import Client, LocalCluster, as_completed

from ssgan_core.command_line import run_command, tell
from ssgan_core.compare import compare
from ssgan_core.errors import InputError
from ssgan_core.paths import output_path, project_root, resolve_path, run_name
from ssgan_core.process import threads_of
from ssgan_core.settings import Settings

WAIT = 10  # seconds for a scheduler to answer
SWEPT = ("chapter", "recipe", "labeled_set", "seed")  # each given as a list
DASHBOARD = "localhost:8787"


class Task(NamedTuple):
    """One run: `python -m command`, its folder, and the file in it that is there once it is over.

    A command that writes its file bit by bit writes `partial`, which becomes that file at the end.
    """

    folder: Path
    command: list[str]
    made: Path
    partial: Path | None = None


def work(task: Task) -> None:
    """Run a task in this process; what it says goes to `run.log` in its folder.

    In the worker itself, and not in a process of its own, so that nothing outlives a killed worker.
    Raises RuntimeError, with the last line of the log, where it fails.
    """
    for variable in Settings.ENVIRONMENT.values():  # a run reads the data that it names, no other
        os.environ.pop(variable, None)
    task.folder.mkdir(parents=True, exist_ok=True)
    log, status = task.folder / "run.log", 0
    with said_to(log):
        sys.argv = list(task.command)
        try:
            runpy.run_module(task.command[0], run_name="__main__", alter_sys=True)
        except SystemExit as end:
            status = end.code or 0
    if status:
        said = log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line for line in reversed(said) if line.strip()), "nothing was said")
        raise RuntimeError(f"status {status}: {last.strip()}")
    if task.partial:
        task.partial.replace(task.made)


@contextlib.contextmanager
def said_to(log: Path) -> Iterator[None]:
    """Inside, what this process and those that it starts say goes to a file."""
    with log.open("ab") as file:
        kept = {number: os.dup(number) for number in (1, 2)}
        sys.stdout.reconfigure(line_buffering=True)
        try:
            for number in kept:
                os.dup2(file.fileno(), number)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, before in kept.items():
                os.dup2(before, number)
                os.close(before)


def sweep(tasks: Sequence[Task], client: Client) -> dict[Path, str]:
    """Run tasks on the workers of a Dask cluster; what went wrong, by folder.

    A task whose worker dies is given to another; one that fails keeps no other from being run.
    """
    tell(f"{len(tasks)} runs; {client.dashboard_link}")
    futures = {client.submit(work, task, pure=False): task for task in tasks}
    failed: dict[Path, str] = {}
    for number, future in enumerate(as_completed(futures), start=1):
        folder = futures[future].folder
        if error := future.exception():
            failed[folder] = f"{error} (see {folder}/run.log)"
        tell(f"{number}/{len(tasks)} {folder.name}: {failed.get(folder, 'done')}")
        future.release()
    return {task.folder: failed[task.folder] for task in tasks if task.folder in failed}


@contextlib.contextmanager
def cluster(scheduler: str | None, jobs: int) -> Iterator[Client]:
    """A client of the Dask scheduler at an address, or of workers of this machine, with which it
    ends; the workers share out its cores. InputError where no scheduler answers."""
    if scheduler:
        try:
            client = Client(scheduler, timeout=WAIT)
        except (OSError, ValueError) as error:
            raise InputError(f"no scheduler answers at {scheduler}: {error}") from error
        with client:
            yield client
        return
    with warnings.catch_warnings():  # a second sweep's page has another port, which is told
        warnings.filterwarnings("ignore", "Port .* is already in use")
        workers = LocalCluster(
            n_workers=jobs, threads_per_worker=1, memory_limit=None, dashboard_address=DASHBOARD,
            silence_logs=logging.CRITICAL, env={"OMP_NUM_THREADS": str(threads_of(jobs))},
        )  # fmt: skip
    with workers, Client(workers) as client:
        yield client


def tasks_of(out: Path, swept: Mapping[str, Sequence[str]], common: Sequence[str]) -> list[Task]:
    """A task for each combination of what is swept, with the options that all have in common.

    Raises InputError for a chapter that is not there, or two runs of the same folder.
    """
    found: dict[Path, Task] = {}
    for values in product(*swept.values()):
        given = dict(zip(swept, values, strict=True))
        folder = out / run_name(values)
        if folder in found:
            raise InputError(f"two runs would be {folder.name}; give labeled sets other names")
        chapter = given.pop("chapter", None)
        if chapter:
            notebooks = sorted((project_root() / "notebooks").glob(f"{chapter}*.ipynb"))
            if len(notebooks) != 1:
                raise InputError(f"--chapter {chapter} fits {len(notebooks)} chapters, not one")
            pairs = {**given, **named(common)}
            words = [w for key, value in pairs.items() for w in ("-p", key, value)]
            partial, made = folder / "running.ipynb", folder / "out.ipynb"
            command = ["papermill", str(notebooks[0]), str(partial), *words, "--no-progress-bar"]
            found[folder] = Task(folder, command, made, partial)
        else:
            words = [
                w for key, value in given.items() for w in (f"--{key.replace('_', '-')}", value)
            ]
            command = ["ssgan_core.train", *words, *common, "--out", str(folder)]
            found[folder] = Task(folder, command, folder / "metrics.json")
    return list(found.values())


def named(options: Sequence[str]) -> dict[str, str]:
    """Options `--max-steps 3` as a chapter's parameters: `{"max_steps": "3"}`."""
    names, values = options[::2], options[1::2]
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise InputError(f"{' '.join(options)!r}: accepted are pairs, --parameter value")
    return {n[2:].replace("-", "_"): v for n, v in zip(names, values, strict=True)}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 where every run is there, 1 where some failed, 2 for bad input."""

    def call() -> int:
        parser = argparse.ArgumentParser(
            prog="python -m ssgan_core.sweep", description=__doc__, allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        parser.add_argument("out", help="folder of the runs, of runs.csv and comparison.png")
        parser.add_argument("--chapter", nargs="+", help="chapters to rerun, by their number")
        parser.add_argument("--recipe", nargs="+", help="recipes")
        parser.add_argument("--labeled-set", nargs="+", help="labeled sets, CSV files")
        parser.add_argument("--seed", nargs="+", help="seeds (0)")
        parser.add_argument("--jobs", type=int, default=1, help="runs side by side (1)")
        parser.add_argument("--scheduler", help="address of a Dask scheduler, tcp://host:8786")
        given, common = parser.parse_known_args(arguments)
        if given.jobs < 1:
            raise InputError(f"--jobs is {given.jobs}; accepted: 1 and more")
        out = output_path(given.out)
        swept = {name: values for name in SWEPT if (values := getattr(given, name))}
        if sets := swept.get("labeled_set"):
            swept["labeled_set"] = [str(resolve_path(name)) for name in sets]
        tasks = tasks_of(out, swept or {"seed": ["0"]}, common)
        missing = [task for task in tasks if not task.made.exists()]
        failed = {}
        if missing:
            with cluster(given.scheduler, given.jobs) as client:
                failed = sweep(missing, client)
        if there := [str(task.made) for task in tasks if task.made.exists()]:
            compare(there, str(out / "comparison.png"), str(out / "runs.csv"))
        for folder, why in failed.items():
            print(f"error: {folder.name}: {why}", file=sys.stderr)
        return 1 if failed else 0

    return run_command(call)


if __name__ == "__main__":
    sys.exit(main())
