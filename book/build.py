"""`make book`: run what changed, check the numbers, build the pages.

python -m book.build --profile quick --photos path --labels my.csv --mnist path --only 01,07
"""

import argparse
import contextlib
import json
import logging
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import groupby
from pathlib import Path
from typing import Any

from book import execute, expectations
from book.common import BuildError, say, status_of
from book.discover import (
    PROFILES,
    Chapter,
    chapters_of,
    check_pair,
    select,
)
from book.environment import clean_environment
from book.freshness import CHAPTERS, SPEED, has_tag, key_of
from book.published import edition
from ssgan_core.errors import InputError
from ssgan_core.paths import Held, hold
from ssgan_core.process import cores, on_stop, threads_of

BESIDE = 2  # chapters at a time: each has some GB of images in memory


def build(
    root: Path,
    profile: str = "quick",
    photos: str | None = None,
    labels: str | None = None,
    mnist: str | None = None,
    only: str | None = None,
    pages_only: bool = False,
    html: bool = True,
) -> None:
    """Bring every page up to date and build the book into `_build/html`.

    `pages_only` runs nothing: the book is built from the published edition, or from chapters in
    `book/chapters/` that were run at full since, say on a GPU; `book.published` says which wins.

    Raises
    ------
    BuildError
        Bad input, a chapter that fails, a number outside its band, or a warning of Sphinx.
    """
    if profile not in PROFILES:
        raise BuildError(f"PROFILE={profile}: accepted are {', '.join(PROFILES)}")
    folder = os.scandir, "a folder that can be read"
    data = {
        "photos": _place(root, "PHOTOS", photos, *folder),
        "mnist": _place(root, "MNIST", mnist, *folder),
        "labeled_set": _place(root, "LABELS", labels, open, "a CSV (path,label) that can be read"),
    }
    chapters = chapters_of(root)
    selected = select(chapters, only)
    for chapter in chapters:
        check_pair(chapter)
    # papermill changes the process's folder around each chapter: side by side, all need the same.
    here = contextlib.chdir(root)
    with _alone(root), clean_environment(root), here, contextlib.ExitStack() as stack:
        tree = root
        if any("labeled_set" in chapter.parameters for chapter in selected):
            _check_labels(root, profile, data)
        if pages_only:
            tree = stack.enter_context(edition(root))
            chapters = chapters_of(tree)
        elif failures := _run(chapters, selected, profile, data):
            raise BuildError("\n".join(failures))
        checked = [
            expectations.check(root, _record(chapter))
            for chapter in chapters
            if execute.read_about(chapter)
        ]
        checked += expectations.check_recorded(root).values()
        if faults := [fault for one in checked for fault in one.faults]:
            raise BuildError("\n".join(faults))
        if html:
            started = time.monotonic()
            jupyter_book(tree, root / "book/logs/jupyter-book.log", root)
            page = root / "_build/html/index.html"
            say(f"book built in {time.monotonic() - started:.0f} s: {page}")


def _place(
    root: Path, name: str, path: str | None, look: Callable[[Path], Any], accepted: str
) -> str | None:
    """A place of data as a person named it, with its `~` spelled out, that can be read."""
    if not path:
        return None
    try:
        path = str(Path(path).expanduser())
        look(root / path).close()
    except (OSError, RuntimeError) as error:  # RuntimeError: ~nobody
        reason = error.strerror if isinstance(error, OSError) else "No such user"
        raise BuildError(f"{name}={path}: {reason}; accepted: {accepted}") from None
    return path


def _check_labels(root: Path, profile: str, data: dict[str, str | None]) -> None:
    """Stop where the labeled set does not fit the photos, as the chapters would an hour later."""
    if not data["labeled_set"]:
        return
    from ssgan_core.photos.files import scan  # these bring PyTorch
    from ssgan_core.photos.labels_csv import read_labeled
    from ssgan_core.photos.photoset import photo_folder
    from ssgan_core.photos.splits import split_photos
    from ssgan_core.ssgan.settings import BaselineSettings

    photos = data["photos"] and str(root / data["photos"])
    settings = BaselineSettings.resolve(profile=profile, photos=photos)
    try:
        read_labeled(root / data["labeled_set"], split_photos(scan(photo_folder(settings))))
    except InputError as error:
        told = textwrap.shorten(str(error), 400, placeholder=" …")
        on = f"PHOTOS={data['photos']}" if photos else "drawn pets, as PHOTOS is not given"
        raise BuildError(f"LABELS={data['labeled_set']}, on {on}: {told}") from None


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Stop where another build is at work in this checkout: both would write the same files.

    The system ends the lock with its process, however that ends.
    """
    path = root / "book/logs/build.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = hold(path)
    except Held as other:
        raise BuildError(
            f"process {other.args[0]} is building the book in {root}; wait for it or end it"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _run(
    chapters: list[Chapter], selected: list[Chapter], profile: str, data: dict[str, str | None]
) -> list[str]:
    """Run the selected chapters that are not up to date; the messages of those that fail.

    Small networks gain little from a second core, so chapters run side by side, each with its
    share of the cores. Those that measure speed come after them, alone, and last those that read
    what others found.
    """

    def turn(chapter: Chapter) -> int:
        return 2 if has_tag(chapter, CHAPTERS) else int(has_tag(chapter, SPEED))

    failures = []
    for alone, group in groupby(sorted(chapters, key=turn), turn):
        stale = []
        for chapter in group:
            label = f"[{chapters.index(chapter) + 1}/{len(chapters)}]"
            about = execute.read_about(chapter)
            if chapter in selected:
                wanted = {"profile": profile} | {
                    name: path for name, path in data.items() if path and name in chapter.parameters
                }
            else:  # its page may stay if it is what its own parameters give today
                wanted = about.get("parameters", {})
            key = key_of(chapter, wanted)
            if about.get("key") == key:
                say(f"{label} {chapter.name}: up to date")
            elif chapter in selected:
                stale.append((chapter, wanted, key, label))
            else:
                say(f"{label} {chapter.name}: not selected, a placeholder stands for it")
                execute.write_placeholder(chapter)
        failures += _side_by_side(stale, 1 if alone or profile == "full" else BESIDE)
    return failures


def _side_by_side(stale: list[tuple[Chapter, dict[str, Any], str, str]], most: int) -> list[str]:
    """Run chapters, at most so many at a time; the messages of those that fail."""
    jobs = max(1, min(most, cores(), len(stale)))
    threads = threads_of(jobs)

    def run(given: tuple[Chapter, dict[str, Any], str, str]) -> str:
        try:
            execute.run_chapter(*given, threads)
        except BuildError as error:
            say(f"{given[-1]}   failed")
            return str(error)
        return ""

    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(run, given) for given in stale]
        try:
            wait(running)
        except BaseException:  # Ctrl-C: their threads do not hear of it, so their kernels end
            while wait(running, timeout=0.1).not_done:
                for chapter in running:
                    chapter.cancel()
                execute.kill_kernels()
            raise
    return [failure for chapter in running if (failure := chapter.result())]


def _record(chapter: Chapter) -> dict[str, Any]:
    return json.loads(chapter.record.read_text(encoding="utf-8"))


def jupyter_book(root: Path, log: Path, out: Path | None = None) -> None:
    """Build the pages with execution off and warnings as errors, into `_build` of `out` or of root.

    Raises BuildError, with the warnings and the log that holds all.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    program = [sys.executable, "-P", "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*program, "build", ".", "--all", "-W", "-n", "--keep-going"]
    command += ["--path-output", str(out or root)]
    here = {"PYTHONPATH": str(Path(__file__).parents[1])}  # whose modules the extensions import
    result = subprocess.run(
        command, cwd=root, env=os.environ | here, preexec_fn=execute.end_with_parent,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    output = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout + result.stderr)  # Sphinx always colors
    output = output.replace(str(root), str(out or root))
    log.write_text(output, encoding="utf-8")
    if result.returncode:
        lines = output.splitlines()
        warnings = [line for line in lines if "WARNING" in line or "ERROR" in line]
        raise BuildError(
            "\n".join([*(warnings or lines[-5:]), f"jupyter-book failed, see book/logs/{log.name}"])
        )
    refuse_raw_markup((out or root) / "_build/html/book")


def refuse_raw_markup(pages: Path) -> None:
    """Stop at markup that a page shows as text: Sphinx takes it for prose and does not warn.

    A role is one, and code in backticks, which a sentence gets that is filled in as plain text.
    """
    role = re.compile(r"\{(?:glue:?\w*|ref|numref|eq|cite:?\w*|doc|term|math|ran)\}")
    code, verbatim = re.compile(r"`[^`<>\n]+`"), r"(?s)<(pre|script|style)\b.*?</\1>"
    texts = [
        (page.stem, page.read_text(encoding="utf-8")) for page in sorted(pages.rglob("*.html"))
    ]
    found = [
        f"{name}: the page shows {match[0]} as text"
        for name, text in texts
        if (match := role.search(text) or code.search(re.sub(verbatim, "", text)))
    ]
    if found:
        raise BuildError("\n".join(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="quick", help=", ".join(PROFILES))
    parser.add_argument("--photos", default=os.environ.get("SSGAN_PHOTOS"), help="photo folder")
    parser.add_argument("--labels", help="labeled set of the photos, a CSV (path,label)")
    parser.add_argument("--mnist", default=os.environ.get("SSGAN_MNIST"), help="MNIST folder")
    parser.add_argument("--only", help="chapters, by number or name, with commas between")
    parser.add_argument("--pages-only", action="store_true", help="run no chapter")
    options = parser.parse_args()
    try:
        with on_stop(_stop):
            return status_of(lambda: build(Path.cwd(), **vars(options)))
    except KeyboardInterrupt as stopped:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 128 + stopped.args[0]


def _stop(name: str) -> None:
    """End with the kernel and without half a page, whoever asks for it."""
    logging.disable()  # a cell that is cut short is no news now
    if name == "SIGHUP":  # the terminal is gone, and writing to it an error
        with open(os.devnull, "w") as nowhere:
            for stream in (1, 2):
                if stat.S_ISCHR(os.fstat(stream).st_mode):  # `isatty` says no once it is gone
                    os.dup2(nowhere.fileno(), stream)
    raise KeyboardInterrupt(signal.Signals[name])


if __name__ == "__main__":
    sys.exit(main())
