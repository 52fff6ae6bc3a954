"""Choose which photos to label; make, check and look at labeled sets.

python -m ssgan_core.labels choose PATH --count 100 --by typical --features FOLDER --out sheet.html
python -m ssgan_core.labels check my.csv --photos PATH
"""

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from torchvision.transforms.v2.functional import pad

from ssgan_core.command_line import Subcommands, run_subcommand, tell
from ssgan_core.errors import InputError
from ssgan_core.labeling.candidates import candidates, choose_photos
from ssgan_core.labeling.choose import METHODS
from ssgan_core.labeling.sheet import write_sheet
from ssgan_core.paths import output_file, resolve_path, whole_file
from ssgan_core.photos.decode import decode_photo, quiet
from ssgan_core.photos.features import read_features
from ssgan_core.photos.files import PhotoCollection, counted, scan
from ssgan_core.photos.labels import LabeledSet, choose_labeled, draw_labeled, moved_in_words
from ssgan_core.photos.labels_csv import check_labeled, class_counts, lacking, read_labeled
from ssgan_core.photos.loader import PhotoStream
from ssgan_core.photos.splits import HELD, split_photos
from ssgan_core.plots import GAP, show_images, use_style

SIDE, WORDS, EACH = 96, 30, 10  # pixels of a photo and of the words below; photos in a row
LONGEST = 16  # letters of a line below a photo


def choose(given: Namespace) -> None:
    """Choose which photos to label, knowing no class, and write a page to label them on."""
    if given.by != "random" and given.features is None:
        raise InputError(
            f"--by {given.by} needs --features FOLDER; make them once with "
            f"python -m ssgan_core.pretrain --photos {given.photos} --out FOLDER, or choose by "
            f"random."
        )
    out = output_file(given.out, ".html", ".htm")
    classes = [name.strip() for name in given.classes.split(",")] if given.classes else []
    if len({name.lower() for name in classes}) != len(classes) or "" in classes:
        raise InputError(f"--classes is '{given.classes}'; different names are accepted: cat,dog.")
    photos = split_photos(scan(resolve_path(given.photos)))
    if photos.classes and classes and sorted(map(str.lower, classes)) != list(photos.classes):
        raise InputError(
            f"--classes is '{given.classes}', but the photos in {photos.root} are of "
            f"{','.join(photos.classes)}; leave it out."
        )
    features = None
    if given.by != "random":
        features = read_features(resolve_path(given.features), photos)
    groups = choose_photos(photos, given.by, given.count, given.seed, features)
    rows = candidates(photos)
    total = len(rows if features is None else np.intersect1d(rows, features[0]))
    how = f"Method {given.by}, seed {given.seed}, from {total:,} photos in {given.photos}."
    names = classes or photos.classes
    corrupt = write_sheet(out, photos, groups, names, how, given.photos, given.split)
    for path, reason in corrupt:
        tell(f"skipped {path}: {reason}")
    tell(f"{out}: {given.count} of {total} photos, {out.stat().st_size / 1e6:.1f} MB; open it "
         f"in a browser, here or elsewhere")  # fmt: skip


def draw(given: Namespace) -> None:
    """Draw a balanced random labeled set from the training split of a photo folder."""
    output_file(given.out, ".csv")
    photos = split_photos(scan(given.photos))
    labeled = draw_labeled(photos, given.count, given.seed)
    labeled.write(given.out)
    words = in_words(class_counts(labeled))
    print(f"{given.out}: {words} of {len(photos)} photos ({photos.layout})")
    if photos.unused:
        print(f"unused in {photos.root}: {counted(photos.unused)}")


def check(given: Namespace) -> int:
    """Say of every line of a labeled set what is wrong with it, or what the set is used for."""
    if given.fix:
        output_file(given.fix, ".csv")
    photos = split_photos(scan(given.photos))

    def look(row: int) -> None:
        try:
            decode_photo(photos.read(row), SIDE)
        except InputError as fault:
            raise InputError(f"'{photos.table['path'][row]}' {fault}") from fault

    with quiet():
        labeled, faults = check_labeled(given.labels, photos, look)
    short = lacking(labeled)
    for line in [*faults, *([f"the set {short}"] if short else [])]:
        print(f"{given.labels}: {line}")
    for warning in labeled.warnings:
        print(warning)
    if given.fix:
        fix(given, labeled)
    if faults or short:
        return 2
    chosen = choose_labeled(photos, labeled)
    print(f"{given.labels}: {in_words(class_counts(labeled))} to learn from")
    held = {split: len(chosen.rows(split)) for split in HELD}
    print(f"validation {held['val']} photos, test {held['test']}, "
          f"{len(chosen.rows('unlabeled'))} without a label")  # fmt: skip
    if chosen.moved:
        print(f"the labeled set moves photos: {moved_in_words(chosen.moved)}")
    return 0


def fix(given: Namespace, labeled: LabeledSet) -> None:
    """Write the rows without a fault to another file."""
    if Path(given.fix).exists() and Path(given.fix).samefile(given.labels):
        raise InputError(f"--fix is {given.fix}, the set itself; give another file")
    if not len(labeled):
        raise InputError(f"{given.labels} has no row without a fault; {given.fix} is not written")
    labeled.write(given.fix)
    print(f"{given.fix}: the {len(labeled)} rows without a fault")


def show(given: Namespace) -> None:
    """Draw a labeled set as a sheet of its photos, class by class, each above its label."""
    out = output_file(given.out, ".png")
    photos = split_photos(scan(given.photos))
    use_style()
    sheet = contact_sheet(photos, read_labeled(given.labels, photos))
    with whole_file(out) as partial:
        sheet.savefig(partial, format="png")
    print(given.out)


def contact_sheet(photos: PhotoCollection, labeled: LabeledSet) -> Figure:
    """The photos of a labeled set, a panel a class, each above its label, split and file name."""
    (images,) = PhotoStream(photos, SIDE, "torchvision").decode([labeled.rows], None)
    images, step = pad(images, [WORDS // 2, 0, WORDS // 2, WORDS], fill=255), SIDE + WORDS + GAP
    groups = [np.flatnonzero(labeled.labels == k) for k in range(len(labeled.classes))]
    rows = [-(-len(group) // EACH) for group in groups]
    inches = EACH * 1.1, sum(rows) * 1.1 + len(rows) * 0.4
    figure, panels = plt.subplots(len(rows), height_ratios=rows, squeeze=False, figsize=inches)
    for axes, name, group in zip(panels[:, 0], labeled.classes, groups, strict=True):
        show_images(axes, images[group], EACH)
        axes.set_title(f"{name}: {len(group)}", loc="left", parse_math=False)
        for place, which in enumerate(group):
            split, path = labeled.splits[which], Path(labeled.paths[which])
            words = [name if split == "labeled" else f"{name}, {split}", path.name]
            words = [w if len(w) <= LONGEST else f"{w[: LONGEST // 2]}…{w[-LONGEST // 2 + 1 :]}"
                     for w in words]  # fmt: skip
            y, x = divmod(place, EACH)
            axes.text((x + 0.5) * step, y * step + SIDE + 2, "\n".join(words), fontsize=6.5,
                      ha="center", va="top", parse_math=False)  # fmt: skip
    return figure


def in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


PHOTOS = {"metavar": "PHOTOS", "help": "folder of photos, in any layout that the book reads"}
LABELS = {"metavar": "LABELS", "help": "labeled set, a CSV (path,label)"}
COMMANDS: Subcommands = {
    "choose": (choose, {
        "photos": PHOTOS,
        "--count": {"type": int, "default": 100, "help": "photos to label (100)"},
        "--by": {"choices": METHODS, "default": "typical", "help": "method (typical)"},
        "--seed": {"type": int, "default": 0, "help": "seed of the choice (0)"},
        "--features": {"metavar": "FOLDER", "help": "of ssgan_core.pretrain; random needs none"},
        "--split": {"choices": ["labeled", *HELD], "default": "labeled",
                    "help": "what the labels are for: to learn from (labeled), or to measure by"},
        "--classes": {"metavar": "A,B", "help": "names to label with, if known already"},
        "--out": {"required": True, "help": "HTML file to write"},
    }),
    "draw": (draw, {
        "photos": PHOTOS,
        "--count": {"type": int, "default": 100, "help": "photos to label (100)"},
        "--seed": {"type": int, "default": 0, "help": "seed of the draw (0)"},
        "--out": {"required": True, "help": "CSV file to write"},
    }),
    "check": (check, {
        "labels": LABELS,
        "--photos": PHOTOS | {"required": True},
        "--fix": {"metavar": "OUT", "help": "CSV file to write, with the rows without a fault"},
    }),
    "show": (show, {
        "labels": LABELS,
        "--photos": PHOTOS | {"required": True},
        "--out": {"required": True, "help": "PNG file to write"},
    }),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0 done, 2 for bad input, which a faulty set is too."""
    return run_subcommand("ssgan_core.labels", __doc__, COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
