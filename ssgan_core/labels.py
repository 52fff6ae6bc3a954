"""Labeled sets: choose which photos to label.

python -m ssgan_core.labels choose photos --count 100 --by typical --features run --out sheet.html
"""

import argparse
import sys
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


def choose_photos(given: argparse.Namespace) -> None:
    """Choose photos of a folder and write the sheet on which they are labeled."""
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
    how = f"Chosen by {given.by}, seed {given.seed}, from {len(rows):,} photos in {given.photos}."
    out = Path(given.out).expanduser()
    corrupt = write_sheet(out, photos, groups, classes or photos.classes, how, given.photos)
    for path, reason in corrupt:
        tell(f"skipped {path}: {reason}")
    tell(f"{out}: {given.count} of {len(rows)} photos, {out.stat().st_size / 1e6:.1f} MB; open it "
         f"in a browser, here or elsewhere")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0, or 2 for bad input."""

    def call() -> None:
        parser = argparse.ArgumentParser(
            prog="python -m ssgan_core.labels", description=__doc__.partition("\n")[0]
        )
        commands = parser.add_subparsers(required=True, metavar="COMMAND")
        add_choose(commands)
        given = parser.parse_args(arguments)
        given.call(given)

    return run_command(call)


def add_choose(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommand `choose` and its options."""
    words = "choose which photos to label, knowing no class, and write a page to label them on"
    parser = commands.add_parser("choose", help=words, description=words.capitalize() + ".")
    parser.add_argument("photos", help="folder of photos, in any layout that the book reads")
    parser.add_argument("--count", type=int, default=100, help="photos to label (100)")
    parser.add_argument("--by", choices=METHODS, default="typical", help="method (typical)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the choice (0)")
    parser.add_argument("--features", help="folder of a ssgan_core.pretrain; random needs none")
    parser.add_argument("--classes", help="names to label with, such as cat,dog, if known already")
    parser.add_argument("--out", required=True, help="HTML file to write")
    parser.set_defaults(call=choose_photos)


if __name__ == "__main__":
    sys.exit(main())
