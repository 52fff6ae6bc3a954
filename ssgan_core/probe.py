"""What a few labels are worth where features are there: choose photos, learn from their classes.

python -m ssgan_core.probe --photos PATH --features FOLDER --by typical --labels 100 --out my-probe

For photos whose classes are known: each seed chooses once, and a logistic regression on the frozen
features answers for the test photos.
"""

import sys
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field

from ssgan_core.checkpoint import checksum
from ssgan_core.command_line import parse, run_command, tell
from ssgan_core.intervals import format_ci
from ssgan_core.labeling.candidates import choose_photos
from ssgan_core.labeling.choose import METHODS, chosen
from ssgan_core.labeling.study import probe_sets
from ssgan_core.paths import output_path, resolve_path
from ssgan_core.photos.features import read_features
from ssgan_core.photos.files import scan
from ssgan_core.photos.splits import split_photos
from ssgan_core.results import Run
from ssgan_core.settings import Folder, Settings


class ProbeSettings(Settings):
    """Choose photos to label by a method, and probe features with their classes."""

    photos: str = Field(description="folder of photos of known classes")
    features: str = Field(description="folder of ssgan_core.pretrain, made from these photos")
    by: Literal[tuple(METHODS)] = Field("random", description="method of ssgan_core.labels choose")
    labels: int = Field(100, ge=2, description="photos to choose")
    draws: int = Field(10, ge=1, le=1000, description="choices, with the seeds that follow")
    out: Folder = Field("runs/probe", description="folder for metrics.json")


def probe_choices(settings: ProbeSettings) -> None:
    """Choose and probe, and write `metrics.json`, unless that is done."""
    photos = split_photos(scan(resolve_path(settings.photos)))
    known = read_features(resolve_path(settings.features), photos)
    data = {"name": "photographs", "checksum": photos.checksum}
    data |= {"features": checksum(torch.from_numpy(known[1]))}
    run = Run.open("probe", settings, data, folder=output_path(settings.out))
    if run.recorded:
        tell(run.recorded)
        return
    seeds = range(settings.seed, settings.seed + settings.draws)
    choices = (choose_photos(photos, settings.by, settings.labels, s, known) for s in seeds)
    values = probe_sets(photos, known, map(chosen, choices))
    run.finish({settings.by: values})
    tell(f"{settings.by}, {settings.labels} labels: {format_ci(values['last'])}")
    tell(f"{run.folder}/metrics.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; `run_command` says what it returns."""
    return run_command(lambda: probe_choices(parse(ProbeSettings, arguments, "ssgan_core.probe")))


if __name__ == "__main__":
    sys.exit(main())
