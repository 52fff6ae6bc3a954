"""Parameters of the chapters on classifying photographs."""

import math
from typing import ClassVar, Literal

from pydantic import Field

from ssgan_core.photos.networks import LADDERS
from ssgan_core.photos.photoset import ImageSettings
from ssgan_core.settings import Folder
from ssgan_core.ssgan.recipes import Recipe, find_recipe

COMMON = {  # what both chapters do in a profile
    "smoke": {"draws": 1, "size": 32, "width": 8, "pets": 200, "evaluations": 2},
    "quick": {"draws": 3, "size": 32, "width": 16, "pets": 4000},
    "full": {"draws": 3, "size": 128, "width": 64, "pets": 24000, "evaluations": 20},
}


class PhotoSettings(ImageSettings):
    """Parameters that the chapters on classifying photographs share."""

    labeled_set: str | None = Field(
        None, description="CSV (path,label) of the labeled photos; None: drawn at random"
    )
    labels: int = Field(100, ge=2, description="labeled photos to draw where no CSV is given")
    draws: int = Field(None, ge=1, le=100, description="repetitions: label draws and seeds")
    width: int = Field(None, ge=8, le=64, description="channels of the first stage; ResNet-18: 64")
    evaluations: int = Field(None, ge=1, description="evaluations on the validation images")


class BaselineSettings(PhotoSettings):
    """Parameters of the supervised baseline."""

    PROFILES: ClassVar = {
        "smoke": COMMON["smoke"] | {"epochs": 4},
        "quick": COMMON["quick"] | {"evaluations": 10, "epochs": 150},
        "full": COMMON["full"] | {"epochs": 200},
    }
    recipe: str | None = Field(
        None, description="supervised or supervised-augmented; None: both, side by side"
    )
    epochs: int = Field(None, ge=1, description="passes over the labeled images")

    def options(self, recipe: Recipe, labels: int) -> dict[str, int]:
        """Steps, width and evaluations of one training with so many labels."""
        batch = min(recipe.labeled_batch or labels, labels)
        steps = self.epochs * math.ceil(labels / batch)
        return {"steps": steps, "width": self.width, "evaluations": self.evaluations}


class GANSettings(PhotoSettings):
    """Parameters that the chapters on semi-supervised GANs share."""

    PROFILES: ClassVar = {"smoke": COMMON["smoke"] | {"generator_width": 32, "steps": 4}}
    COMPARED: ClassVar[tuple[str, ...]]
    WITH_FULL: ClassVar[tuple[str, ...]]

    recipe: str | None = Field(None, description="one recipe alone; None: those compared")
    size: Literal[tuple(LADDERS)] = Field(None, description="side of an image in pixels")
    generator_width: int = Field(None, ge=16, le=1024, description="generator's first channels")
    steps: int = Field(None, ge=1, description="training steps of each recipe")

    @property
    def recipes(self) -> list[str]:
        """The recipe asked for, or those compared: on a GPU some more."""
        if self.recipe:
            return [find_recipe(self.recipe).name]
        return [*self.COMPARED, *(self.WITH_FULL if self.profile == "full" else ())]

    def options(self, recipe: Recipe, labels: int) -> dict[str, int]:
        """Steps, widths and evaluations of one training."""
        names = ("steps", "width", "generator_width", "evaluations")
        return {name: getattr(self, name) for name in names}


class ArticleSettings(GANSettings):
    """Parameters of the article's experiment and its controls."""

    PROFILES: ClassVar = GANSettings.PROFILES | {
        "quick": COMMON["quick"]
        | {"draws": 1, "size": 64, "generator_width": 128, "evaluations": 8, "steps": 400},
        "full": COMMON["full"] | {"generator_width": 512, "steps": 4000},
    }
    COMPARED: ClassVar = ("supervised", "article-labels", "article")
    WITH_FULL: ClassVar = (
        "article-batch-norm", "article-frozen", "article-matching", "article-rotation",
        "article-modern",
    )  # fmt: skip


class SSGANSettings(GANSettings):
    """Parameters of what goes further than the article."""

    PROFILES: ClassVar = GANSettings.PROFILES | {
        "quick": COMMON["quick"] | {"generator_width": 128, "evaluations": 6, "steps": 200},
        "full": COMMON["full"] | {"generator_width": 512, "steps": 8000},
    }
    COMPARED: ClassVar = ("supervised-augmented", "ssgan-minus-gan", "ssgan")
    WITH_FULL: ClassVar = (
        "ssgan-contrast-minus-gan", "ssgan-contrast", "feature-matching", "complement",
        "explicit-class",
    )  # fmt: skip


class ChoiceSettings(PhotoSettings):
    """Parameters of the comparison of labeled sets."""

    PROFILES: ClassVar = {
        "smoke": COMMON["smoke"]
        | {"labels": 20, "draws": 2, "sets": 3, "steps": 4, "tuning_steps": 4},
        "quick": COMMON["quick"]
        | {"labels": 100, "evaluations": 2, "sets": 10, "steps": 200, "tuning_steps": 200},
        "full": COMMON["full"]
        | {"labels": 100, "draws": 5, "sets": 20, "steps": 8000, "tuning_steps": 1500},
    }
    labels: int = Field(None, ge=2, description="photos in a set")
    size: Literal[tuple(LADDERS)] = Field(None, description="side of an image in pixels")
    features: Folder | None = Field(
        None, description="folder of ssgan_core.pretrain; None: features are learned here"
    )
    recipe: str = Field("supervised-augmented", description="what is trained with each set")
    sets: int = Field(None, ge=2, le=1000, description="sets of each method that are probed")
    draws: int = Field(None, ge=2, le=100, description="sets of each method that are trained with")
    steps: int = Field(None, ge=1, description="steps in which features are learned")
    tuning_steps: int = Field(None, ge=1, description="steps of each training with a set")
