"""What a drawn pet looks like before it takes a pose: breed, coat, eyes, collar.

A breed is the shape of an animal and belongs to one class. Everything else is drawn from the same
distribution for cats and dogs, so that no color tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ssgan_core.pets.canvas import mix


@dataclass(frozen=True)
class Breed:
    """The shape of an animal; lengths in half-widths of the head."""

    name: str
    ears: str  # cat: pointed, tufted, folded; dog: floppy, button, prick
    ear: float = 1.0  # size of the ears
    width: float = 1.0  # of the head
    height: float = 0.9
    muzzle: float = 0.3  # how far the snout stands out
    fur: float = 0.0  # length of tufts
    legs: float = 1.0
    body: float = 1.0  # length of the trunk
    tail: str = "thin"  # thin, bushy, curled, stub
    share: float = 1.0  # how common it is, relative to the others


BREEDS = {
    "cat": (
        Breed("shorthair", "pointed", 1.0),
        Breed("oriental", "pointed", 1.3, 0.88, 0.92, 0.34, legs=1.15),
        Breed("persian", "pointed", 0.75, 1.06, 0.92, 0.2, 0.1, 0.75, tail="bushy"),
        Breed("forest cat", "tufted", 1.15, 1.0, 0.92, 0.34, 0.09, tail="bushy"),
        Breed("fold", "folded", 0.8, 1.04, 0.9, 0.26, 0.03, 0.9, share=0.35),
    ),
    "dog": (
        Breed("retriever", "floppy", 0.9, 0.9, 1.0, 0.62, 0.04, 1.1, tail="bushy"),
        Breed("hound", "floppy", 1.35, 0.86, 1.02, 0.7, 0.0, 0.95),
        Breed("spaniel", "floppy", 1.45, 0.92, 0.96, 0.55, 0.1, 0.85, tail="stub"),
        Breed("terrier", "button", 0.95, 0.88, 0.98, 0.6, 0.09, 0.85, tail="stub"),
        Breed("shepherd", "prick", 1.1, 0.88, 1.02, 0.72, 0.05, 1.15, 1.05, "bushy", 0.5),
        Breed("spitz", "prick", 0.85, 1.0, 0.95, 0.5, 0.09, tail="curled", share=0.5),
        Breed("pug", "button", 0.75, 1.04, 0.94, 0.36, 0.0, 0.85, tail="curled", share=0.7),
        Breed("dachshund", "floppy", 1.15, 0.82, 1.0, 0.75, 0.0, 0.5, 1.3),
    ),
}

COATS = {
    "black": (48, 44, 50),
    "gray": (132, 136, 146),
    "white": (240, 235, 226),
    "cream": (231, 203, 158),
    "orange": (220, 140, 66),
    "brown": (138, 92, 58),
    "chocolate": (94, 62, 46),
    "silver": (186, 190, 198),
}
PATTERNS = ("solid", "striped", "patched", "spotted", "bicolor", "pointed")
PATTERN_SHARES = (0.4, 0.18, 0.09, 0.06, 0.18, 0.09)
EYES = ((196, 150, 52), (120, 158, 66), (96, 62, 36), (92, 150, 200), (150, 96, 40))
COLLARS = ((200, 48, 58), (44, 110, 190), (60, 150, 92), (240, 180, 40), (140, 84, 170))
WHITE = np.array([246.0, 242, 235])


@dataclass(frozen=True)
class Look:
    """One animal: its breed and the colors it is painted in."""

    species: str
    breed: Breed
    coat: str
    pattern: str
    base: np.ndarray
    mark: np.ndarray  # stripes, patches, spots, dark points
    second: np.ndarray  # the other patch color
    pale: np.ndarray  # muzzle, chest and belly
    eye: np.ndarray
    nose: np.ndarray
    collar: np.ndarray | None
    asleep: bool
    happy: bool  # shows its tongue

    def paws(self) -> np.ndarray:
        """The color of paws, tail tip and other ends of the body."""
        return {"bicolor": WHITE, "pointed": self.mark}.get(self.pattern, self.base)


def draw_look(rng: np.random.Generator, species: str) -> Look:
    """Draw one animal; the class only chooses among which breeds."""
    breeds = BREEDS[species]
    share = np.cumsum([breed.share for breed in breeds])
    breed = breeds[np.searchsorted(share, rng.random() * share[-1])]
    coat = tuple(COATS)[rng.integers(len(COATS))]
    pattern = PATTERNS[rng.choice(len(PATTERNS), p=PATTERN_SHARES)]
    base = np.clip(np.array(COATS[coat]) * rng.uniform(0.9, 1.06) + rng.normal(0, 4, 3), 0, 255)
    dark = base.mean() < 105
    if pattern == "patched":
        mark, second = (
            np.array(COATS[name], float)
            for name in rng.permutation([name for name in COATS if name != coat])[:2]
        )
    else:
        mark = mix(base, (214, 160, 110), 0.55) if dark else base * (0.5, 0.46, 0.42)
        second = mark
    pale = WHITE if pattern == "bicolor" else mix(base, WHITE, rng.uniform(0.45, 0.75))
    if pattern == "pointed":
        pale = mark
    eye = np.array(EYES[rng.integers(len(EYES))]) * rng.uniform(0.9, 1.15)
    pink = rng.random() < 0.2
    nose = np.array((222, 140, 138)) if pink else np.array((46, 38, 40))
    collar = np.array(COLLARS[rng.integers(len(COLLARS))]) if rng.random() < 0.4 else None
    asleep, happy = rng.random() < 0.25, rng.random() < 0.3
    return Look(
        species, breed, coat, pattern, base, mark, second, pale, eye, nose, collar, asleep, happy
    )
