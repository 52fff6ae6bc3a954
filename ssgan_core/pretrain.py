"""Learn features from photographs without a label, once for a folder; labeled sets begin there.

python -m ssgan_core.pretrain --photos PATH --size 64 --steps 8000 --out features
python -m ssgan_core.train --features features --photos PATH --labeled-set my.csv --out my-run
"""

import sys
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from ssgan_core.command_line import tell
from ssgan_core.device import rank
from ssgan_core.paths import output_path
from ssgan_core.photos.networks import LADDERS
from ssgan_core.photos.photoset import ImageSettings, PhotoSet, load_photos
from ssgan_core.results import Run, claim, write_json
from ssgan_core.settings import Folder
from ssgan_core.ssgan.pretrain import (
    Pretrained,
    clustered,
    few_label_probes,
    pretrain,
    save_features,
)
from ssgan_core.ssgan.recipes import FEATURES
from ssgan_core.ssgan.settings import SSGANSettings
from ssgan_core.train import run_training

SHARED = ("size", "width", "generator_width", "pets", "evaluations", "steps")


class PretrainSettings(ImageSettings):
    """Learn features without labels; write features.npz, model.pt and metrics.json to a folder."""

    PROFILES: ClassVar = {
        profile: {name: values[name] for name in SHARED} | {"labels": 100, "draws": 200}
        for profile, values in SSGANSettings.PROFILES.items()
    }
    recipe: Literal[tuple(FEATURES)] = Field("rotation-contrast", description=", ".join(FEATURES))
    size: Literal[tuple(LADDERS)] = Field(None, description="side of an image in pixels")
    width: int = Field(None, ge=8, le=64, description="channels of the first stage; ResNet-18: 64")
    generator_width: int = Field(None, ge=16, le=1024, description="generator's first channels")
    steps: int = Field(None, ge=1, description="training steps")
    max_minutes: float | None = Field(None, gt=0, description="training time, if it ends earlier")
    evaluations: int = Field(None, ge=1, description="times that the means of the losses are kept")
    labels: int = Field(None, ge=2, description="labeled photos of a probe")
    draws: int = Field(None, ge=1, le=1000, description="probes, where the classes are known")
    out: Folder = Field("runs/features", description="folder for all results")


def learn(settings: PretrainSettings) -> Pretrained | None:
    """Run a training, or go on with one, and write its folder; None where that is done already."""
    recipe, folder = FEATURES[settings.recipe], output_path(settings.out)
    report = tell if rank() == 0 else lambda line: None
    _claimed = None if (folder / "metrics.json").exists() else claim(folder)
    photos = load_photos(settings, report)
    run = Run.open("pretrain", settings, photos.summary, folder=folder)
    if run.recorded:
        report(run.recorded)
        return None
    checkpoint = folder / "checkpoint.pt"
    run.resumed = checkpoint.exists()
    done = pretrain(
        recipe,
        photos,
        settings.steps,
        max_minutes=settings.max_minutes,
        width=settings.width,
        generator_width=settings.generator_width,
        evaluations=settings.evaluations,
        seed=settings.seed,
        checkpoint=checkpoint,
        report=report,
    )
    if rank() == 0:
        save_features(folder, done, photos)
        write_json(folder / "history.json", done.history.to_dict("list"))
        values = judged(done, photos, settings)
        run.finish({recipe.name: values}, recipe=recipe.settings)
        checkpoint.unlink(missing_ok=True)
        if values["last"]:
            mean = sum(values["last"]) / len(values["last"])
            tell(
                f"{settings.labels} labels on these features: test accuracy {mean:.1%}, on average"
            )
        tell(f"{folder}/features.npz, {folder}/model.pt, {folder}/metrics.json")
    return done


def judged(done: Pretrained, photos: PhotoSet, settings: PretrainSettings) -> dict[str, list]:
    """What features are worth: probes with few labels, and what clusters tell of the classes.

    Nothing where no photo's class is known.
    """
    if not len(photos.classes):
        return {"last": []}
    seeds = range(settings.seed, settings.seed + settings.draws)
    last = few_label_probes(done.features, photos, settings.labels, seeds)
    steps, seconds = done.history[["step", "seconds"]].iloc[-1]
    return {
        "last": last,
        "steps": [int(steps)] * len(last),
        "minutes": [seconds / 60] * len(last),
        "clusters": [clustered(done.features, photos)] * len(last),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; `run_command` says what it returns."""
    return run_training(PretrainSettings, lambda s: learn(s), arguments, "ssgan_core.pretrain")


if __name__ == "__main__":
    sys.exit(main())
