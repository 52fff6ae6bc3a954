"""Labeled sets: choose which photos to label.

python -m ssgan_core.labels choose photos --count 100 --by typical --features run --out sheet.html
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ssgan_core.command_line import run_command, tell
from ssgan_core.errors import InputError
from ssgan_core.labeling.candidates import candidates, read_features
from ssgan_core.labeling.choose import METHODS, choose
from ssgan_core.labeling.sheet import write_sheet
from ssgan_core.paths import resolve_path
from ssgan_core.photos.files import scan
from ssgan_core.photos.splits import split_photos


def choose_photos(given: Namespace) -> None:
    """Choose which photos to label, knowing no class, and write a page to label them on."""
    if given.by != "random" and given.features is None:
        raise InputError(
            f"--by {given.by} needs --features FOLDER; make them once with "
            f"python -m ssgan_core.pretrain --photos {given.photos} --out FOLDER, or choose by "
            f"random."
        )
    classes = [name.strip() for name in given.classes.split(",")] if given.classes else []
    if len({name.lower() for name in classes}) != len(classes) or "" in classes:
        raise InputError(f"--classes is '{given.classes}'; different names are accepted: cat,dog.")
    photos = scan(resolve_path(given.photos))
    if photos.classes and classes and sorted(map(str.lower, classes)) != list(photos.classes):
        raise InputError(
            f"--classes is '{given.classes}', but the photos in {photos.root} are of "
            f"{','.join(photos.classes)}; leave it out."
        )
    if photos.classes:
        photos = split_photos(photos)
    rows = candidates(photos)
    features = np.empty((len(rows), 0), dtype=np.float32)
    if given.by != "random":
        known, features = read_features(resolve_path(given.features), photos)
        rows, _, places = np.intersect1d(rows, known, assume_unique=True, return_indices=True)
        features = features[places]
    groups = [rows[group] for group in choose(given.by, features, given.count, given.seed)]
    how = f"Method {given.by}, seed {given.seed}, from {len(rows):,} photos in {given.photos}."
    out = Path(given.out).expanduser()
    corrupt = write_sheet(out, photos, groups, classes or photos.classes, how, given.photos)
    for path, reason in corrupt:
        tell(f"skipped {path}: {reason}")
    tell(f"{out}: {given.count} of {len(rows)} photos, {out.stat().st_size / 1e6:.1f} MB; open it "
         f"in a browser, here or elsewhere")  # fmt: skip


CHOOSE = {
    "photos": {"metavar": "PHOTOS", "help": "folder of photos, in any layout that the book reads"},
    "--count": {"type": int, "default": 100, "help": "photos to label (100)"},
    "--by": {"choices": METHODS, "default": "typical", "help": "method (typical)"},
    "--seed": {"type": int, "default": 0, "help": "seed of the choice (0)"},
    "--features": {"metavar": "FOLDER", "help": "of ssgan_core.pretrain; random needs none"},
    "--classes": {"metavar": "A,B", "help": "names to label with, where they are known already"},
    "--out": {"required": True, "help": "HTML file to write"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 done, 2 for bad input."""

    def call() -> None:
        parser = ArgumentParser(prog="python -m ssgan_core.labels", description=__doc__)
        commands = parser.add_subparsers(required=True, metavar="COMMAND")
        words = choose_photos.__doc__
        choose_command = commands.add_parser("choose", help=words, description=words)
        for name, option in CHOOSE.items():
            choose_command.add_argument(name, **option)
        choose_photos(parser.parse_args(arguments))

    return run_command(call)


if __name__ == "__main__":
    sys.exit(main())
