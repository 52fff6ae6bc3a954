"""An experiment on photographs: its settings, its data, its label draws."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pandas as pd
from pydantic import Field
from torch import Tensor

from ssgan_core.paths import resolve_path
from ssgan_core.pets.collection import drawn_pets
from ssgan_core.photos.files import PhotoCollection, scan
from ssgan_core.photos.generator import LADDERS
from ssgan_core.photos.labels import choose_labeled, draw_labeled, read_labeled
from ssgan_core.photos.loader import decode_all
from ssgan_core.photos.splits import split_photos
from ssgan_core.results import Run
from ssgan_core.settings import Settings
from ssgan_core.ssgan.evaluate import PhotoData
from ssgan_core.ssgan.fit import Fit, fit
from ssgan_core.ssgan.recipes import RECIPES, Recipe, find_recipe

TESTED = {"last epoch": "last", "best validation epoch": "best", "not averaged": "last_raw"}


class ImageSettings(Settings):
    """Where the images come from, and their size."""

    photos: str | None = Field(None, description="folder of photos; None: drawn pets")
    size: int = Field(None, ge=16, le=224, description="side of an image in pixels")
    pets: int = Field(None, ge=60, description="pets to draw where no photos are given")


class PhotoSettings(ImageSettings):
    """Parameters that the chapters on classifying photographs share."""

    labeled_set: str | None = Field(
        None, description="CSV (path,label) of the labeled photos; None: drawn at random"
    )
    labels: int = Field(100, ge=2, description="labeled photos to draw where no CSV is given")
    draws: int = Field(None, ge=1, le=100, description="repetitions: label draws and seeds")
    width: int = Field(None, ge=8, le=64, description="channels of the first stage; ResNet-18: 64")
    rounds: int = Field(None, ge=1, description="evaluations on the validation images")

    def options(self, recipe: Recipe, labels: int) -> dict[str, int]:
        """Steps and widths of one training with so many labels."""
        raise NotImplementedError


class BaselineSettings(PhotoSettings):
    """Parameters of the supervised baseline."""

    PROFILES: ClassVar = {
        "smoke": {"draws": 1, "size": 32, "width": 8, "pets": 200, "rounds": 2, "epochs": 4},
        "quick": {"draws": 3, "size": 32, "width": 16, "pets": 4000, "rounds": 10, "epochs": 150},
        "full": {"draws": 3, "size": 128, "width": 64, "pets": 24000, "rounds": 40, "epochs": 200},
    }
    recipe: str | None = Field(
        None, description="supervised or supervised-augmented; None: both, side by side"
    )
    epochs: int = Field(None, ge=1, description="passes over the labeled images")

    def options(self, recipe: Recipe, labels: int) -> dict[str, int]:
        batch = min(recipe.labeled_batch or labels, labels)
        return {"steps": self.epochs * math.ceil(labels / batch), "width": self.width}


COMPARED = ("supervised", "article", "supervised-augmented", "ssgan-minus-gan", "ssgan")


class SSGANSettings(PhotoSettings):
    """Parameters of the semi-supervised GAN."""

    PROFILES: ClassVar = {
        "smoke": {"draws": 1, "size": 32, "width": 8, "generator_width": 32, "pets": 200,
                  "rounds": 2, "steps": 4},
        "quick": {"draws": 3, "size": 32, "width": 16, "generator_width": 128, "pets": 4000,
                  "rounds": 6, "steps": 200},
        "full": {"draws": 3, "size": 128, "width": 64, "generator_width": 512, "pets": 24000,
                 "rounds": 40, "steps": 15000},
    }  # fmt: skip
    recipe: str | None = Field(None, description="one recipe alone; None: those compared")
    size: Literal[tuple(LADDERS)] = Field(None, description="side of an image in pixels")
    generator_width: int = Field(None, ge=16, le=1024, description="generator's first channels")
    steps: int = Field(None, ge=1, description="training steps of each recipe")

    @property
    def recipes(self) -> list[str]:
        """The recipe asked for, or those compared: on a GPU all there are."""
        if self.recipe:
            return [find_recipe(self.recipe).name]
        return list(RECIPES if self.profile == "full" else COMPARED)

    def options(self, recipe: Recipe, labels: int) -> dict[str, int]:
        widths = {"width": self.width, "generator_width": self.generator_width}
        return {"steps": self.steps} | widths


@dataclass(frozen=True)
class Photos:
    """Decoded photos before any is labeled: images (N, 3, S, S) uint8 and what is known of them."""

    images: Tensor
    photos: PhotoCollection
    summary: dict[str, Any]

    def labeled(
        self, settings: PhotoSettings, draw: int, report: Callable[[str], None]
    ) -> PhotoData:
        """The photos with the labels of one draw: the CSV's where one is given."""
        if settings.labeled_set:
            chosen = read_labeled(resolve_path(settings.labeled_set), self.photos)
        else:
            if len(self.photos.rows("labeled")) and draw == 0:
                report(
                    "labels are drawn from labeled/ and train/ alike; labeled_set, a CSV, "
                    "keeps to chosen photos"
                )
            chosen = draw_labeled(self.photos, settings.labels, settings.seed + draw)
        for warning in chosen.warnings:
            report(warning)
        return PhotoData(self.images, choose_labeled(self.photos, chosen))


def load_photos(settings: ImageSettings, report: Callable[[str], None]) -> Photos:
    """Find, decode and split the photographs that the settings name.

    Raises
    ------
    InputError
        No usable photos in the folder, or more than 1 % of them cannot be decoded.
    """
    if settings.photos:
        name, root = "photographs", resolve_path(settings.photos)
    else:
        name, root = "drawn pets", drawn_pets(settings.pets, size=max(64, settings.size))
    found = scan(root)
    decoded = decode_all(found, settings.size)
    report(f"{len(decoded.photos)} photos, {found.layout}")
    report(decoded.reason)
    for path, reason in decoded.corrupt:
        report(f"skipped {path}: {reason}")
    photos = split_photos(decoded.photos)
    summary = {
        "name": name,
        "layout": found.layout,
        "photos": len(photos),
        "corrupt": len(decoded.corrupt),
        "loader": decoded.backend,
        "loader_reason": decoded.reason,
        "checksum": photos.checksum,
    }
    return Photos(decoded.images, photos, summary)


def run_draws(
    name: str, settings: PhotoSettings, photos: Photos, run: Run, report: Callable[[str], None]
) -> list[Fit]:
    """Train one recipe once for each label draw; draw i has the seed `settings.seed + i`."""
    recipe, fits = find_recipe(name), []
    for draw in range(settings.draws):
        data = photos.labeled(settings, draw, report)
        labels = len(data.photos.rows("labeled"))
        report(f"{name}, draw {draw + 1} of {settings.draws}: {labels} labels")
        fits.append(
            fit(
                recipe,
                data,
                **settings.options(recipe, labels),
                rounds=settings.rounds,
                seed=settings.seed + draw,
                checkpoint=run.checkpoint(f"{name}-{draw}.pt"),
                report=report,
            )
        )
    return fits


def fit_runs(fits: Mapping[str, Sequence[Fit]]) -> pd.DataFrame:
    """Trainings by recipe as a frame of runs, as `ssgan_core.results` has it.

    `labeled` and `validation` hold the labeled loss and the validation accuracy, round by round.
    """
    return pd.DataFrame(
        {"method": name, "seed": done.seed}
        | done.test
        | {"steps": done.history.step.iloc[-1], "minutes": done.history.seconds.iloc[-1] / 60}
        | {term: done.history[term].tolist() for term in ("labeled", "validation")}
        for name, runs in fits.items()
        for done in runs
    )


def summary(runs: pd.DataFrame) -> dict[str, dict[str, list]]:
    """What `metrics.json` keeps of each recipe: a value a draw of each test accuracy, and the
    validation accuracies round by round."""
    kept = [*TESTED.values(), "validation"]
    return {name: rows[kept].to_dict("list") for name, rows in runs.groupby("method", sort=False)}
