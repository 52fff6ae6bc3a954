"""Named recipes: each a few settings over one training loop."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from ssgan_core.errors import InputError

WIDTH = 16  # channels of the first stage in the network whose learning rates were tried

NEEDED = {  # for settings that mean nothing without one of these
    ("gan",): ("explicit", "feature_matching", "pull_away", "frozen", "grows"),
    ("consistency",): ("aligned",),
    ("consistency", "contrast"): ("crops",),
}


@dataclass(frozen=True)
class Recipe:
    """What distinguishes one way of training from another.

    `gan` adds a generator, and the real and generated terms to the classifier's loss; `explicit`
    gives "generated" a logit of its own, the (K+1)-th. `gan_every` is the number of steps from
    one look at generated images, and one step of the generator, to the next: 4 keeps their cost
    to a quarter (as lazy regularization does; Karras et al. 2020, arXiv:1912.04958, section 3.1).
    `feature_matching` is the generator's loss instead of the adversarial one; `pull_away` weighs
    the term that keeps its images apart; a `frozen` generator keeps its first weights.
    `consistency` weighs FixMatch's term on unlabeled images: a weak view's class, where its
    probability reaches `confidence`, teaches a view changed with strength `strong`. `contrast`
    weighs a second task on unlabeled images, to find the weak view of the same image by the
    features of the strong one; `rotation` a third, to tell by which quarter turn each was rotated;
    `entropy` weighs the conditional entropy on them. With `seen` they pass through the classifier,
    and so into batch norm's statistics, in any case. `aligned` brings the classes that weak views
    show, on average, to the shares that they have among the labels; `crops` makes strong views of
    parts of an image, recolored, in place of whole ones bent and partly hidden.

    `labeled_batch=None` takes all labeled images in every step. `augment` is the strength of
    `photos.augment`; None leaves the images as they are. `ema` is the highest decay of the
    EMA of the weights, which is evaluated; `small_first` is the share of the training in which
    images have half their side, at which a generator that `grows` makes its own until then.
    `fresh_statistics` evaluates with batch-norm statistics measured on real unlabeled images.

    `learning_rate` is that of a network whose first stage has 16 channels and, where
    `rate_by_width`, falls as others grow wider: for Adam, each weight's step has to shrink as the
    number of weights that add up grows (Yang et al. 2021, arXiv:2203.03466, table 3).
    """

    name: str
    about: str
    gan: bool = False
    explicit: bool = False
    gan_every: int = 1
    feature_matching: bool = False
    pull_away: float = 0.0
    frozen: bool = False
    consistency: float = 0.0
    confidence: float = 0.95
    strong: float = 2.0
    contrast: float = 0.0
    rotation: float = 0.0
    entropy: float = 0.0
    seen: bool = False
    aligned: bool = False
    crops: bool = False
    unlabeled_weight: float = 1.0
    optimizer: str = "adam"
    learning_rate: float = 6e-3
    rate_by_width: bool = True
    cosine: bool = True
    weight_decay: float = 0.0
    labeled_batch: int | None = 32
    unlabeled_batch: int = 64
    stem: str | None = None
    pixel_range: tuple[float, float] = (-1.0, 1.0)
    augment: float | None = 1.0
    ema: float | None = 0.999
    small_first: float = 0.0
    grows: bool = False
    fresh_statistics: bool = True

    def __post_init__(self) -> None:
        for needed, settings in NEEDED.items():
            strays = [name for name in settings if getattr(self, name)]
            if strays and not any(getattr(self, one) for one in needed):
                words = " or ".join(needed)
                raise InputError(
                    f"recipe {self.name!r} has no {words}, and cannot have {', '.join(strays)}; "
                    f"set {words}, or leave them out"
                )
        losses = [name for name in ("feature_matching", "pull_away") if getattr(self, name)]
        if self.frozen and losses:
            raise InputError(
                f"recipe {self.name!r} is frozen: its generator descends no loss, and cannot have "
                f"{', '.join(losses)}; leave out frozen, or these"
            )

    @property
    def unlabeled(self) -> bool:
        """Whether a step takes unlabeled images."""
        weights = (self.consistency, self.contrast, self.rotation, self.entropy)
        return self.gan or self.seen or max(weights) > 0

    @property
    def two_views(self) -> bool:
        """Whether unlabeled images are looked at twice, weakly and strongly changed."""
        return max(self.consistency, self.contrast) > 0

    def rate(self, width: int) -> float:
        """The highest learning rate of a network whose first stage has so many channels."""
        return self.learning_rate * (WIDTH / width if self.rate_by_width else 1)

    @property
    def settings(self) -> dict[str, Any]:
        """All that can be set, as JSON holds it: without the name and what is said about it."""
        fields = asdict(self) | {"pixel_range": list(self.pixel_range)}
        return {key: value for key, value in fields.items() if key not in ("name", "about")}


ARTICLE = Recipe(
    "article",
    "the article's semi-supervised GAN: Adam at 2e-3, three separate passes, no augmentation",
    gan=True,
    unlabeled_weight=0.5,
    learning_rate=2e-3,
    rate_by_width=False,
    cosine=False,
    labeled_batch=None,
    stem="imagenet",
    pixel_range=(0.0, 1.0),
    augment=None,
    ema=None,
    fresh_statistics=False,
)
SUPERVISED = replace(
    ARTICLE,
    name="supervised",
    about="the article's baseline: all labels in a step, SGD, no augmentation",
    gan=False,
    optimizer="sgd",
    learning_rate=1e-3,
    weight_decay=1e-4,
)
# The rate is the best of 1, 3, 6, 12 and 25e-3 by validation: drawn pets, quick, first draw.
AUGMENTED = Recipe(
    "supervised-augmented",
    "labels alone, as strong as we can: augmentation, EMA, cosine decay",
)
FEATURE_MATCHING = replace(
    AUGMENTED,
    name="feature-matching",
    about="`supervised-augmented` plus a generator that matches features",
    gan=True,
    feature_matching=True,
    unlabeled_weight=0.2,
)
SSGAN = replace(
    FEATURE_MATCHING,
    name="ssgan",
    about="ours: labels, a generator that matches features, consistency, rotation prediction",
    gan_every=4,
    consistency=1.0,
    rotation=1.0,
    small_first=0.7,
    grows=True,
)
MINUS_GAN = replace(
    SSGAN,
    name="ssgan-minus-gan",
    about="`ssgan` without the generator and its terms",
    gan=False,
    feature_matching=False,
    grows=False,
)
CONTRAST, CONTRAST_MINUS_GAN = (
    replace(
        recipe,
        name=recipe.name.replace("ssgan", "ssgan-contrast"),
        about=f"`{recipe.name}` plus the contrast between images, for long trainings",
        contrast=0.5,
    )
    for recipe in (SSGAN, MINUS_GAN)
)
COMPLEMENT = replace(
    FEATURE_MATCHING,
    name="complement",
    about="`feature-matching` plus pull-away for the generator, entropy for the classifier",
    pull_away=0.1,
    entropy=0.1,
)
EXPLICIT = replace(
    FEATURE_MATCHING,
    name="explicit-class",
    about="`feature-matching` with a logit of its own for generated images",
    explicit=True,
)
OURS = (SSGAN, MINUS_GAN, CONTRAST, CONTRAST_MINUS_GAN)
OTHERS = (EXPLICIT, FEATURE_MATCHING, COMPLEMENT)
RECIPES = {recipe.name: recipe for recipe in (ARTICLE, SUPERVISED, AUGMENTED, *OURS, *OTHERS)}
# What `ssgan` is without one of its parts; without the generator it is `ssgan-minus-gan`.
WITHOUT = {
    "rotation": ("no rotation prediction", {"rotation": 0.0}),
    "consistency": ("no consistency of two views", {"consistency": 0.0}),
    "matching": ("a generator that wants its images called real", {"feature_matching": False}),
    "augmentation": ("no augmentation but in the strong view", {"augment": None}),
    "confidence": ("every guess a label, sure or not", {"confidence": 0.0}),
    "pauses": ("generated images looked at in every step", {"gan_every": 1}),
    "averaging": ("the weights of the last step", {"ema": None}),
    "schedule": ("a constant learning rate", {"cosine": False}),
    "small-first": ("images of the whole size from the start", {"small_first": 0.0}),
    "growing": ("a generator of whole images from the start", {"grows": False}),
    "fresh-statistics": ("the running batch-norm statistics", {"fresh_statistics": False}),
}
ABLATIONS = {
    f"ssgan-minus-{part}": replace(
        SSGAN, name=f"ssgan-minus-{part}", about=f"`ssgan` with {about}", **changes
    )
    for part, (about, changes) in WITHOUT.items()
}
# What stands between `supervised` and `article`: a gain that its controls share is not the GAN's.
BESIDE = {
    "labels": ("`article`'s optimizer, labels alone", {"gan": False}),
    "batch-norm": ("`article-labels`, unlabeled images in the batch norm without a loss",
                   {"gan": False, "seen": True}),
    "frozen": ("`article` with a generator that keeps its first weights", {"frozen": True}),
    "matching": ("`article` with a generator that matches features", {"feature_matching": True}),
    "rotation": ("rotation prediction in place of the GAN", {"gan": False, "rotation": 1.0}),
    "modern": ("`article-matching` with fresh statistics, cosine decay and EMA",
               {"feature_matching": True, "fresh_statistics": True, "cosine": True, "ema": 0.999}),
}  # fmt: skip
CONTROLS = {
    f"article-{part}": replace(ARTICLE, name=f"article-{part}", about=about, **changes)
    for part, (about, changes) in BESIDE.items()
}
# How much of the generator: its terms' weight in percent, and in every which step. `ssgan` has 20
# in every fourth, `ssgan-minus-pauses` 20 in every one.
DOSES = {
    f"ssgan-dose-{percent}-{every}": replace(
        SSGAN, name=f"ssgan-dose-{percent}-{every}", unlabeled_weight=percent / 100,
        gan_every=every,
        about=f"`ssgan` with the GAN's terms weighing {percent / 100:g}, one step in {every}",
    )
    for percent, every in ((5, 4), (100, 4), (5, 1), (100, 1))
}  # fmt: skip
ADDED = {
    "aligned": ("pseudo-labels whose classes come as often as the labels'", {"aligned": True}),
    "crops": ("strong views that are recolored crops", {"crops": True}),
}
ADDITIONS = {
    f"{recipe.name}-{part}": replace(
        recipe, name=f"{recipe.name}-{part}", about=f"`{recipe.name}` with {about}", **changes
    )
    for recipe in (SSGAN, CONTRAST_MINUS_GAN)
    for part, (about, changes) in ADDED.items()
}
ALL = RECIPES | ABLATIONS | CONTROLS | DOSES | ADDITIONS
# Without any label: what `ssgan_core.pretrain` learns features by.
TASKS = replace(CONTRAST_MINUS_GAN, consistency=0.0)
FEATURES = {
    recipe.name: recipe
    for recipe in (
        replace(TASKS, name="rotation", about="rotation prediction alone", contrast=0.0),
        replace(TASKS, name="rotation-contrast", about="rotation prediction and contrast"),
        replace(TASKS, name="crops", crops=True, about="the same, strong views recolored crops"),
        replace(FEATURE_MATCHING, name="gan", about="real or generated, the article's question",
                unlabeled_weight=1.0),
        replace(CONTRAST, name="rotation-contrast-gan", about="all three", consistency=0.0),
    )
}  # fmt: skip


def find_recipe(name: str) -> Recipe:
    """The recipe of that name; InputError names those there are."""
    if name not in ALL:
        raise InputError(f"recipe {name!r} is unknown; accepted: {', '.join(ALL)}")
    return ALL[name]
