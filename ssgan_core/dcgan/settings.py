"""Parameters of the DCGAN chapter."""

from typing import ClassVar, Literal

from pydantic import Field

from ssgan_core.photos.networks import LADDERS
from ssgan_core.photos.photoset import ImageSettings


class DCGANSettings(ImageSettings):
    """What the DCGAN chapter can be asked for."""

    PROFILES: ClassVar = {
        "smoke": {"size": 32, "width": 32, "pets": 200, "batch": 16, "learning_rate": 5e-4,
                  "steps": 8, "evaluations": 2, "judge_steps": 8, "judge_width": 8,
                  "trial_steps": 4},
        "quick": {"size": 32, "width": 128, "pets": 4000, "batch": 16, "learning_rate": 5e-4,
                  "steps": 6000, "evaluations": 14, "judge_steps": 400, "judge_width": 16,
                  "trial_steps": 400},
        "full": {"size": 64, "width": 512, "pets": 24000, "batch": 128, "learning_rate": 2e-4,
                 "steps": 40000, "evaluations": 18, "judge_steps": 6000, "judge_width": 32,
                 "trial_steps": 4000},
    }  # fmt: skip
    size: Literal[tuple(LADDERS)] = Field(None, description="side of an image in pixels")
    width: int = Field(
        None, ge=32, le=1024, multiple_of=32, description="channels of both networks where most"
    )
    batch: int = Field(None, ge=2, le=1024, description="real, and generated, images in a step")
    learning_rate: float = Field(None, gt=0, le=0.1, description="Adam's, for both networks")
    steps: int = Field(None, ge=2, description="training steps of the main run")
    evaluations: int = Field(
        None, ge=2, le=24, description="evaluations of the main run while it trains, and frames"
    )
    judge_steps: int = Field(None, ge=4, description="training steps of the classifier that judges")
    judge_width: int = Field(None, ge=8, le=64, description="channels of its first stage")
    trial_steps: int = Field(None, ge=2, description="training steps of each run of the diagnosis")
