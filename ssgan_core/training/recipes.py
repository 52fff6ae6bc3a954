"""Named recipes: each a few settings over one training loop."""

from dataclasses import dataclass

from ssgan_core.errors import InputError


@dataclass(frozen=True)
class Recipe:
    """What distinguishes one way of training from another.

    `gan` adds a generator, and the real and generated terms to the classifier's loss.
    `labeled_batch=None` takes all labeled images in every step. `ema` is the decay of the
    averaged weights that are evaluated. `fresh_statistics` evaluates with batch-norm statistics
    re-estimated on real unlabeled images, and keeps generated images out of the running ones.
    `augment` is the strength of `ssgan_core.data.augment`; None leaves the images as they are.
    """

    name: str
    about: str
    gan: bool
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    cosine: bool = True
    weight_decay: float = 0.0
    labeled_batch: int | None = 32
    unlabeled_batch: int = 64
    stem: str | None = None
    pixel_range: tuple[float, float] = (-1.0, 1.0)
    augment: float | None = 1.0
    ema: float | None = 0.98
    fresh_statistics: bool = True
    feature_matching: bool = False
    unlabeled_weight: float = 1.0


_RECIPES = (
    Recipe(
        "article-supervised",
        "the article's baseline: all 100 labels a step, SGD, no augmentation",
        gan=False,
        optimizer="sgd",
        learning_rate=1e-3,
        weight_decay=1e-4,
        cosine=False,
        labeled_batch=None,
        stem="imagenet",
        pixel_range=(0.0, 1.0),
        augment=None,
        ema=None,
        fresh_statistics=False,
    ),
    Recipe(
        "article",
        "the article's semi-supervised GAN: Adam at 2e-3, three separate passes, no augmentation",
        gan=True,
        learning_rate=2e-3,
        cosine=False,
        labeled_batch=None,
        stem="imagenet",
        pixel_range=(0.0, 1.0),
        augment=None,
        ema=None,
        fresh_statistics=False,
    ),
    Recipe(
        "supervised",
        "our baseline: augmentation, averaged weights, cosine decay; `ssgan` without the GAN",
        gan=False,
    ),
    Recipe(
        "ssgan",
        "`supervised` plus a generator trained by feature matching",
        gan=True,
        feature_matching=True,
    ),
)
RECIPES = {recipe.name: recipe for recipe in _RECIPES}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; InputError names those there are."""
    if name not in RECIPES:
        raise InputError(f"recipe {name!r} is unknown; accepted: {', '.join(RECIPES)}")
    return RECIPES[name]
