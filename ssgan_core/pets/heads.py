"""The heads of drawn pets, in a frame centered on the head with half its width as unit."""

from __future__ import annotations

import numpy as np

from ssgan_core.pets.canvas import CIRCLE, Brush, Shape, closed_curve, horn, mirror, mix
from ssgan_core.pets.canvas import stroke_outline as stroke
from ssgan_core.pets.looks import Look

CAT_HEAD = mirror(
    [(0, -0.95), (0.5, -0.86), (0.9, -0.35), (1.02, 0.22), (0.72, 0.68), (0.3, 0.9), (0, 0.93)]
)
DOG_HEAD = mirror(
    [(0, -0.98), (0.52, -0.88), (0.86, -0.42), (0.84, 0.1), (0.66, 0.55), (0.36, 0.92), (0, 1.0)]
)
DARK = np.array([40.0, 32, 36])
PINK = np.array([226.0, 150, 150])


def draw_head(
    brush: Brush, look: Look, rng: np.random.Generator, turn: float = 0.0, closed: bool = False
) -> None:
    """Draw a head that looks aside by ``turn`` (-1 to 1), with its eyes closed if asked."""
    cat = look.species == "cat"
    breed = look.breed
    outline = closed_curve((CAT_HEAD if cat else DOG_HEAD) * (breed.width, breed.height))
    hanging = breed.ears == "floppy"
    if not hanging:
        for side in (-1, 1):
            _ear(brush, look, side, turn)
    head = brush.paint(outline, look.base, 0.5, breed.fur)
    _markings(brush, look, rng, head, turn)
    if hanging:
        for side in (-1, 1):
            _ear(brush, look, side, turn)
    (_cat_face if cat else _dog_face)(brush, look, turn, closed)


def _ear(brush: Brush, look: Look, side: int, turn: float) -> None:
    kind, size = look.breed.ears, look.breed.ear
    ear = brush.moved(-0.1 * turn, 0, flip=side < 0)
    color = look.mark if look.pattern == "pointed" else look.base * 0.94
    if look.pattern == "patched" and side > 0:
        color = look.second
    w, h = look.breed.width, look.breed.height
    inner = mix(PINK, look.base, 0.35)
    if kind in ("pointed", "tufted"):
        base, end = np.array((0.16 * w, -0.8 * h)), np.array((0.93 * w, -0.22 * h))
        tip = np.array((0.86 * w, -0.78 * h - 0.82 * size))
        ear.paint(horn(base, tip, end, 0.12), color, 0.3, 0.4 * look.breed.fur)
        foot = (base + end) / 2
        small = [foot + (p - foot) * 0.66 for p in (base, tip, end)]
        ear.paint(horn(*small, 0.1), inner)
        if kind == "tufted":
            ear.stroke(np.add(tip, [(-0.03, 0.1), (0.06, -0.24)]), [0.12, 0.01], color)
            ear.stroke(np.add(foot, [(-0.1, 0), (0.0, -0.4)]), [0.2, 0.02], look.pale)
    elif kind == "folded":
        ear.paint(horn((0.26, -0.86 * h), (0.72, -1.12 * h), (0.92, -0.42 * h), 0.3), color, 0.3)
        ear.paint(horn((0.4, -1.0 * h), (0.86, -0.42 * h), (0.95, -0.7 * h), 0.2), color * 0.8, 0.3)
    elif kind == "prick":
        base, end = np.array((0.14 * w, -0.82 * h)), np.array((0.8 * w, -0.42 * h))
        tip = np.array((0.56 * w, -0.85 * h - 0.85 * size))
        ear.paint(horn(base, tip, end, 0.2), color, 0.3, 0.4 * look.breed.fur)
        foot = (base + end) / 2
        small = [foot + (p - foot) * 0.62 for p in (base, tip, end)]
        ear.paint(horn(*small, 0.18), mix(inner, color, 0.35))
    elif kind == "button":
        drop = 0.5 * size
        ear.blob([(0.3, -0.85), (0.62, -1.0), (0.92, -0.82), (0.9, -0.4), (0.5, -0.5)], color, 0.3)
        ear.paint(horn((0.4, -0.98), (1.02, -0.72 + drop), (0.98, -0.86), 0.2), color * 0.78, 0.3)
    else:
        low = 0.75 * size
        ear.blob(
            [
                (0.46 * w, -0.84),
                (0.9 * w, -0.78),
                (1.2 * w, -0.3 + 0.3 * low),
                (1.24 * w, -0.15 + low),
                (0.98 * w, -0.02 + low * 1.05),
                (0.76 * w, -0.2 + low * 0.8),
                (0.74 * w, -0.3),
            ],
            color * 0.84,
            0.4,
            look.breed.fur,
        )


def _markings(brush: Brush, look: Look, rng: np.random.Generator, head: Shape, turn: float):
    """The coat pattern on the head; ``rng`` is used equally whatever the pattern."""
    spots = rng.uniform(-1, 1, (7, 2))
    sizes = rng.uniform(0.09, 0.18, 7)
    x = 0.18 * turn
    if look.pattern == "striped":
        bars = [stroke([(x + a, -1.0), (x + 0.8 * a, -0.45)], [0.14, 0.04]) for a in (-0.3, 0, 0.3)]
        for side in (-1, 1):
            for y in (0.1, 0.35):
                cheek = [(1.05 * side, y - 0.05), (0.62 * side, y + 0.05)]
                bars.append(stroke(cheek, [0.13, 0.03]))
        brush.inside(head, bars, look.mark)
    elif look.pattern == "patched":
        brush.inside(head, [np.add(CIRCLE * (0.72, 0.8), (0.72, -0.5))], look.second)
        brush.inside(head, [np.add(CIRCLE * (0.45, 0.5), (-0.85, 0.1))], look.mark)
    elif look.pattern == "spotted":
        brush.inside(head, [CIRCLE * s + p for s, p in zip(sizes, spots, strict=True)], look.mark)
    elif look.pattern == "bicolor":
        blaze = closed_curve(
            mirror([(0, -0.9), (0.1, -0.75), (0.16, -0.2), (0.5, 0.2), (0.68, 0.75), (0, 1.1)])
        )
        brush.inside(head, [np.add(blaze, (x, 0))], look.pale)
    elif look.pattern == "pointed":
        brush.inside(head, [CIRCLE * (0.58, 0.6) + (x, 0.38)], look.mark)


def _eyes(brush, look, turn, y, apart, size, closed, slit):
    """Both eyes; a cat's are large, slanted and slit, a dog's small and round."""
    for side in (-1, 1):
        near = 1 + 0.18 * side * turn
        x = side * apart * (1 - 0.1 * side * turn) + 0.2 * turn
        eye = brush.moved(x, y, size * min(near, 1.0), flip=side < 0)
        if closed:
            eye.stroke([(-0.9, -0.1), (0, 0.35), (0.9, -0.15)], [0.2, 0.32, 0.2], DARK)
            continue
        if slit:
            rim = closed_curve(np.array([(-1.1, 0.35), (-0.1, -0.92), (1.15, -0.5), (0.35, 0.86)]))
            eye.paint(rim * 1.18, DARK)
            iris = eye.paint(rim, look.eye)
            eye.inside(iris, [CIRCLE * (0.36, 0.95)], (16, 14, 18))
        else:
            eye.ellipse(0, 0, 1.12, 1.16, DARK)
            eye.ellipse(0, 0.02, 0.92, 0.94, look.eye)
            eye.ellipse(0, 0.0, 0.6, 0.62, (16, 14, 18))
        flip = -1 if side < 0 else 1
        eye.ellipse(-0.32 * flip, -0.38, 0.28, 0.28, (250, 250, 250))


def _cat_face(brush: Brush, look: Look, turn: float, closed: bool) -> None:
    out = look.breed.muzzle
    x, y = 0.3 * turn, 0.3
    dark_coat = look.base.mean() < 110
    for side in (-1, 1):
        brush.ellipse(x + 0.2 * side, y + 0.22, 0.27, 0.2 + 0.2 * out, look.pale, 0.25)
    brush.ellipse(x, y + 0.42, 0.2, 0.15, look.pale)
    _eyes(brush, look, turn, -0.1, 0.44, 0.23, closed, slit=True)
    line = (225, 220, 215) if look.pale.mean() < 90 else DARK
    if look.happy:
        brush.ellipse(x, y + 0.38, 0.1, 0.13, (226, 110, 124))
    for side in (-1, 1):
        mouth = [(x, y + 0.14), (x + 0.05 * side, y + 0.3), (x + 0.24 * side, y + 0.3)]
        brush.stroke(mouth, 0.055, line)
    nose = [(-0.14, -0.06), (0, -0.08), (0.14, -0.06), (0.05, 0.08), (0, 0.1), (-0.05, 0.08)]
    brush.blob(np.add(nose, (x, y + 0.04)), look.nose)
    color = (250, 248, 244) if dark_coat else mix(DARK, look.base, 0.3)
    for side in (-1, 1):
        for rise in (-0.2, 0.02, 0.24):
            start = (x + 0.3 * side, y + 0.2 + 0.3 * rise)
            middle = (x + 0.8 * side, y + 0.12 + 0.8 * rise)
            brush.stroke([start, middle, (x + 1.3 * side, y + 0.22 + rise * 1.3)], 0.035, color)


def _dog_face(brush: Brush, look: Look, turn: float, closed: bool) -> None:
    out = look.breed.muzzle
    x = (0.25 + 0.4 * out) * turn
    root = np.array((0.16 * turn, 0.36))
    tip = np.array((x, 0.4 + 0.16 * out))
    size = 0.34 + 0.12 * out
    _eyes(brush, look, turn, -0.16, 0.38, 0.155, closed, slit=False)
    if look.happy:
        tongue = [(-0.15, 0.0), (0.15, 0.0), (0.17, 0.34), (0, 0.5), (-0.17, 0.34)]
        brush.blob(np.add(tongue, (tip[0], tip[1] + 0.7 * size)), (228, 108, 122), 0.3)
    brush.stroke([root, tip], [2.1 * size, 1.9 * size], look.pale, 0.35, 0.5 * look.breed.fur)
    line = (215, 210, 205) if look.pale.mean() < 90 else DARK
    nose_y = tip[1] - 0.2 - 0.12 * out
    brush.stroke([(x, nose_y), (x, tip[1] + 0.55 * size)], 0.055, line)
    for side in (-1, 1):
        lip = [(x, tip[1] + 0.55 * size), (x + 0.24 * side, tip[1] + 0.72 * size)]
        brush.stroke([*lip, (x + 0.42 * side, tip[1] + 0.36 * size)], 0.06, line)
    wide = 0.17 + 0.1 * out
    nose = [(-wide, -0.09), (0, -0.13), (wide, -0.09), (0.6 * wide, 0.1), (-0.6 * wide, 0.1)]
    brush.blob(np.add(nose, (x, nose_y)), look.nose)
    brush.ellipse(x - 0.07, nose_y - 0.06, 0.06, 0.03, mix(look.nose, (255, 255, 255), 0.6))
    if not closed:
        for side in (-1, 1):
            brow = 0.36 * side + 0.18 * turn
            brush.ellipse(brow, -0.42, 0.13, 0.07, mix(look.base, look.mark, 0.5))
