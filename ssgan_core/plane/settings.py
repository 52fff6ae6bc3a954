"""What is trained in the plane: recipes, and the parameters of the chapters that use them."""

import dataclasses
from typing import ClassVar, Literal, get_args

from pydantic import Field

from ssgan_core.errors import InputError
from ssgan_core.settings import Settings

Generator = Literal["none", "vanilla", "matching", "complement", "oracle", "perfect"]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is trained, and when each term enters; shares of training are in 0..1.

    generator : who makes the generated points ("none": a supervised classifier; "oracle" and
    "perfect": no network, they return points off the data, and the data).
    logits : K; with one logit the classifier is an ordinary discriminator.
    tied_logits : start the classifier with equal logits, so that none is preferred anywhere.
    labeled_start : share of training before the labeled loss enters; labeled_weight: its weight.
    entropy_weight : conditional entropy on unlabeled points, ramped from `entropy_start` on.
    matching_weight, pull_away_weight, low_density_weight : the complement generator's terms;
    the last enters at `low_density_start`.
    consistency_weight : squared change of p(class | x) under a jitter of `jitter`.
    """

    generator: Generator = "complement"
    logits: int = 2
    tied_logits: bool = True
    labeled_start: float = 0.5
    labeled_weight: float = 0.2
    entropy_weight: float = 0.0
    entropy_start: float = 0.6
    matching_weight: float = 1.0
    pull_away_weight: float = 0.3
    low_density_weight: float = 0.1
    low_density_start: float = 0.0
    consistency_weight: float = 0.0
    jitter: float = 0.1
    bandwidth: float = 0.08
    quantile: float = 0.1
    learning_rate: float = 1e-3
    generator_rate: float = 1e-3
    batch: int = 64
    width: int = 64
    box: float = 1.6

    def __post_init__(self) -> None:
        if self.generator not in get_args(Generator):
            raise InputError(
                f"parameter 'generator' is {self.generator!r}; "
                f"accepted: {', '.join(get_args(Generator))}"
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name.endswith("weight") and not value >= 0:
                raise InputError(f"parameter {field.name!r} is {value}; accepted: 0 or more")
            if field.name.endswith(("start", "quantile")) and not 0 <= value <= 1:
                raise InputError(f"parameter {field.name!r} is {value}; accepted: 0 to 1")


# The experiment: five generators under one classifier, and the classifier without unlabeled data.
METHODS = {
    "supervised": Recipe("none", tied_logits=False, labeled_start=0, labeled_weight=1.0),
    "vanilla": Recipe("vanilla"),
    "feature matching": Recipe("matching"),
    "complement": Recipe("complement"),
    "oracle": Recipe("oracle"),
    "perfect": Recipe("perfect"),
}


class CloudSettings(Settings):
    """Parameters of the rings."""

    points: int = Field(2000, ge=40, le=100_000, description="unlabeled points, both rings")
    noise: float = Field(0.05, ge=0, le=0.083, description="standard deviation across the ring")


class RingSettings(CloudSettings):
    """Parameters of the rings and of the labels drawn from them."""

    labels_per_ring: int = Field(4, ge=1, description="labeled points of each ring")


class HandfulSettings(RingSettings):
    """Parameters of the chapter on a handful of labels."""

    PROFILES: ClassVar = {
        "smoke": {"points": 600, "draws": 2},
        "quick": {"draws": 20},
        "full": {"draws": 50},
    }
    draws: int = Field(None, ge=2, le=1000, description="label draws of the comparison")


class GanSettings(CloudSettings):
    """Parameters of the chapter on a GAN in the plane."""

    PROFILES: ClassVar = {
        "smoke": {"points": 400, "steps": 6},
        "quick": {"steps": 2500},
        "full": {"steps": 5000},
    }
    steps: int = Field(None, ge=1, description="training steps")


class ComplementSettings(RingSettings):
    """Parameters of the chapter on the complement generator."""

    PROFILES: ClassVar = {
        "smoke": {"points": 400, "draws": 2, "other_draws": 2, "steps": 8},
        "quick": {"draws": 20, "other_draws": 10, "steps": 1200},
        "full": {"draws": 40, "other_draws": 20, "steps": 1200},
    }
    draws: int = Field(None, ge=2, le=1000, description="label draws of the main comparison")
    other_draws: int = Field(
        None, ge=2, le=1000, description="label draws of the other comparisons"
    )
    steps: int = Field(None, ge=8, description="training steps of each run")
