"""Parameters of trainings on digits, whose defaults depend on profile and data."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ssgan_core.settings import Settings


class DigitsTraining(Settings):
    """What a training on digits can be asked for."""

    PROFILES: ClassVar = {
        "smoke": {"labels": 10, "batch": 50, "draws": 2, "steps": 20, "budgets": [10, 20]},
        "quick": {"labels": 10, "batch": 50, "draws": 10, "steps": 1200,
                  "budgets": [10, 20, 50, 100]},
        "full": {"labels": 10, "batch": 50, "draws": 10, "steps": 4000,
                 "budgets": [10, 20, 50, 100]},
    }  # fmt: skip
    MNIST: ClassVar = {
        "smoke": {"labels": 100, "batch": 100, "draws": 1, "steps": 10, "budgets": [20, 100]},
        "quick": {"labels": 100, "batch": 100, "draws": 1, "steps": 6000, "budgets": []},
        "full": {"labels": 100, "batch": 100, "draws": 10, "steps": 60_000,
                 "budgets": [20, 50, 100, 1000]},
    }  # fmt: skip

    mnist: str | None = Field(
        None, description="folder that holds MNIST/raw; None: scikit-learn's 8×8 digits"
    )
    labels: int = Field(
        None,
        ge=10,
        le=1000,
        multiple_of=10,
        description="labeled images, shared by the ten classes",
    )
    draws: int = Field(None, ge=1, le=100, description="random labeled sets, each a run of its own")
    steps: int = Field(None, ge=10, le=10**6, description="training steps of each run")
    batch: int = Field(
        None, ge=10, le=10_000, description="unlabeled, and generated, images in a step"
    )
    learning_rate: float = Field(3e-3, gt=0, le=0.1, description="Adam's rate, for both networks")
    generator: Literal["feature_matching", "complement"] = Field(
        "feature_matching", description="loss of the generator in the main comparison"
    )

    @classmethod
    def defaults(cls, profile: str, given: dict[str, Any]) -> dict[str, Any]:
        values = (cls.MNIST if given.get("mnist") else cls.PROFILES).get(profile, {})
        return {name: value for name, value in values.items() if name in cls.model_fields}


class DigitsSettings(DigitsTraining):
    """What the digits chapter can be asked for."""

    budgets: list[Annotated[int, Field(ge=10, multiple_of=10)]] = Field(
        None, description="further numbers of labels, for the label-budget curve"
    )
