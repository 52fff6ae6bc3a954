"""Parameters of trainings on digits, whose defaults depend on profile and data."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ssgan_core.settings import Settings


class DigitsTraining(Settings):
    """What a training on digits can be asked for."""

    SMALL: ClassVar = {
        "smoke": {"draws": 2, "steps": 20, "budgets": [10, 20]},
        "quick": {"draws": 10, "steps": 1200, "budgets": [10, 20, 50, 100]},
        "full": {"draws": 10, "steps": 4000, "budgets": [10, 20, 50, 100]},
    }
    MNIST: ClassVar = {
        "smoke": {"draws": 1, "steps": 10, "budgets": [20, 100]},
        "quick": {"draws": 1, "steps": 6000, "budgets": []},
        "full": {"draws": 10, "steps": 60_000, "budgets": [20, 50, 100, 1000]},
    }

    mnist: str | None = Field(
        None, description="folder that holds MNIST/raw; None: scikit-learn's 8×8 digits"
    )
    labels: int = Field(
        ge=10, le=1000, multiple_of=10, description="labeled images, shared by the ten classes"
    )
    draws: int = Field(ge=1, le=100, description="random labeled sets, each a run of its own")
    steps: int = Field(ge=10, le=10**6, description="training steps of each run")
    batch: int = Field(ge=10, le=10_000, description="unlabeled, and generated, images in a step")
    learning_rate: float = Field(3e-3, gt=0, le=0.1, description="Adam's rate, for both networks")
    generator: Literal["feature_matching", "complement"] = Field(
        "feature_matching", description="loss of the generator in the main comparison"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, given: Any) -> Any:
        """Fill what is open from the table of this kind of data."""
        table = cls.MNIST if given.get("mnist") else cls.SMALL
        small, mnist = {"labels": 10, "batch": 50}, {"labels": 100, "batch": 100}
        fixed = mnist if given.get("mnist") else small
        filled = fixed | table.get(given.get("profile"), table["quick"])
        return {name: value for name, value in filled.items() if name in cls.model_fields} | given


class DigitsSettings(DigitsTraining):
    """What the digits chapter can be asked for."""

    budgets: list[Annotated[int, Field(ge=10, multiple_of=10)]] = Field(
        description="further numbers of labels, for the label-budget curve"
    )
