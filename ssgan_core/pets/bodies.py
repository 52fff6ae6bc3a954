"""The bodies of drawn pets: four poses around a head, standing on y = 0, head half-width 1."""

from __future__ import annotations

import numpy as np

from ssgan_core.pets.canvas import CIRCLE, Brush, Shape, mix, stroke_outline
from ssgan_core.pets.heads import draw_head
from ssgan_core.pets.looks import Look

# Half-width and height that a pose takes up, in half-widths of the head.
EXTENT = {"face": (1.3, 2.7), "sitting": (1.45, 3.9), "standing": (2.2, 3.9), "lying": (2.2, 2.9)}
TRUNK = 0.8  # the scale of the body: large heads look young, and can be told apart
TAIL_WIDTH = {"thin": 0.3, "bushy": 0.62, "curled": 0.5, "stub": 0.34}


def draw_body(brush: Brush, look: Look, pose: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a whole animal in a pose; returns where its collar is, in the frame of the brush."""
    turn = rng.uniform(-0.7, 0.7)
    tilt = rng.normal(0, 0.12)
    draw = {"face": _face, "sitting": _sitting, "standing": _standing, "lying": _lying}[pose]
    x, y, neck_y = np.array(draw(brush.moved(0, 0, TRUNK), look, rng)) * TRUNK
    if look.collar is not None and pose != "lying":
        sag = [(x - 0.62, neck_y - 0.1), (x, neck_y + 0.14), (x + 0.62, neck_y - 0.1)]
        brush.stroke(sag, 0.24, look.collar, 0.3)
        brush.ellipse(x, neck_y + 0.24, 0.13, 0.14, (238, 196, 70), 0.3)
    closed = look.asleep and pose in ("lying", "face")
    draw_head(brush.moved(x, y, 1.0, tilt), look, rng, turn, closed)
    return np.array((x, neck_y))


def _pattern(brush: Brush, look: Look, rng, trunk: Shape, box, upright: bool) -> None:
    """The coat pattern on a trunk within ``box`` (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = box
    places = rng.uniform(0, 1, (12, 2)) * (x1 - x0, y1 - y0) + (x0, y0)
    sizes = rng.uniform(0.12, 0.26, 12)
    if look.pattern == "striped":
        bars = []
        for k in range(5):
            share = (k + 0.5) / 5
            if upright:
                y = y0 + share * (y1 - y0)
                bars += [
                    stroke_outline([(x, y - 0.08), (0.6 * x + 0.4 * (x0 + x1) / 2, y + 0.1)], w)
                    for x, w in ((x0 - 0.1, (0.22, 0.05)), (x1 + 0.1, (0.22, 0.05)))
                ]
            else:
                x = x0 + share * (x1 - x0)
                bars.append(
                    stroke_outline([(x, y0 - 0.2), (x - 0.12, y0 + 0.62 * (y1 - y0))], (0.24, 0.05))
                )
        brush.inside(trunk, bars, look.mark)
    elif look.pattern == "patched":
        for p, s, color in zip(places[:4], sizes, 2 * [look.mark, look.second], strict=False):
            brush.inside(trunk, [CIRCLE * (3.2 * s, 2.6 * s) + p], color)
    elif look.pattern == "spotted":
        brush.inside(trunk, [CIRCLE * s + p for s, p in zip(sizes, places, strict=True)], look.mark)


def _tail(brush: Brush, look: Look, root, points) -> None:
    kind = look.breed.tail
    if kind == "stub":
        points = points[:1] * 0.6
    elif kind == "curled":
        points = np.array([(-0.5, -0.5), (-0.35, -1.15), (0.25, -1.1), (0.3, -0.6)])
    line = np.add(root, [(0.0, 0.0), *points])
    width = TAIL_WIDTH[kind]
    widths = width * np.array([0.8, *np.linspace(1, 0.75, len(points))])
    tail = brush.stroke(line, widths, look.base * 0.92, 0.3, look.breed.fur)
    if look.pattern in ("bicolor", "pointed"):
        brush.inside(tail, [CIRCLE * 1.1 * width + line[-1]], look.paws())
    elif look.pattern == "striped" and len(points) > 2:
        for k in (1, 2):
            p, q = line[k] * 0.5 + line[k + 1] * 0.5, line[k + 1] - line[k]
            aside = q[::-1] * (-1, 1) / (np.linalg.norm(q) + 1e-9) * width * 0.4
            brush.stroke([p - aside, p + aside], 0.14, look.mark)


def _leg(brush: Brush, look: Look, top, foot, width: float, shade: float = 1.0) -> None:
    brush.stroke(
        [top, (foot[0], foot[1] - 0.3), foot],
        [width * 1.2, width, width * 0.95],
        look.base * shade,
        0.3,
        0.5 * look.breed.fur,
    )
    brush.ellipse(foot[0] + 0.05, foot[1] - 0.12, width * 0.66, 0.22, look.paws() * shade, 0.35)
    for dx in (-0.08, 0.12):
        brush.stroke(
            [(foot[0] + dx, foot[1] - 0.1), (foot[0] + dx, foot[1])], 0.035, look.paws() * 0.55
        )


def _face(brush: Brush, look: Look, rng) -> tuple[float, float, float]:
    fur = look.breed.fur
    chest = brush.blob(
        [
            (-1.0, 0.2),
            (-0.75, -0.75),
            (0, -0.95),
            (0.75, -0.75),
            (1.0, 0.2),
            (1.25, 1.6),
            (-1.25, 1.6),
        ],
        look.base * 0.93,
        0.0,
        fur,
    )
    _pattern(brush, look, rng, chest, (-1.1, -0.4, 1.1, 1.4), upright=True)
    brush.blob([(-0.4, -0.3), (0.4, -0.3), (0.45, 1.6), (-0.45, 1.6)], look.pale * 0.95, 0, fur)
    return 0.0, -1.15, -0.12


def _sitting(brush: Brush, look: Look, rng) -> tuple[float, float, float]:
    fur, legs = look.breed.fur, 0.5 + 0.5 * look.breed.legs
    side = rng.choice((-1, 1))
    top = -2.15 * legs
    high = rng.uniform(-1.6, -0.7)
    points = np.array([(0.75, -0.05), (1.2, -0.4), (1.25, high), (0.95, high - 0.4)]) * (side, 1)
    _tail(brush, look, (0.55 * side, -0.35), points)
    trunk = brush.blob(
        [
            (-0.55, top),
            (0.55, top),
            (0.82, -1.3),
            (1.08, -0.55),
            (0.95, -0.08),
            (0, 0.0),
            (-0.95, -0.08),
            (-1.08, -0.55),
            (-0.82, -1.3),
        ],
        look.base,
        0.5,
        fur,
    )
    _pattern(brush, look, rng, trunk, (-1.0, top + 0.4, 1.0, -0.2), upright=True)
    brush.blob(
        [(-0.38, top + 0.1), (0.38, top + 0.1), (0.42, -1.2), (0, -0.7), (-0.42, -1.2)],
        look.pale,
        0.15,
        0.7 * fur,
    )
    for sign in (-1, 1):
        brush.ellipse(0.82 * sign, -0.16, 0.42, 0.2, look.paws(), 0.4)
    for sign in (-1, 1):
        _leg(brush, look, (0.34 * sign, -1.2), (0.36 * sign, 0.05), 0.46, 1.02)
    return 0.0, top - 0.72, top + 0.12


def _standing(brush: Brush, look: Look, rng) -> tuple[float, float, float]:
    breed = look.breed
    belly, half = -0.95 * breed.legs, 1.45 * breed.body
    back = belly - 1.2
    up = rng.uniform(-1.5, -0.5)
    points = np.array([(-0.5, 0.2 * up), (-0.85, up), (-0.6, up - 0.55)])
    _tail(brush, look, (-half, back + 0.3), points)
    for x in (-half + 0.62, half - 0.15):
        _leg(brush, look, (x, belly - 0.4), (x + 0.05, 0), 0.46, 0.78)
    trunk = brush.blob(
        [
            (-half, back + 0.05),
            (0, back + 0.1),
            (half, back - 0.2),
            (half + 0.3, back + 0.5),
            (half - 0.1, belly + 0.1),
            (0, belly - 0.06),
            (-half + 0.3, belly - 0.05),
            (-half - 0.2, back + 0.6),
        ],
        look.base,
        0.5,
        breed.fur,
    )
    _pattern(brush, look, rng, trunk, (-half, back, half, belly), upright=False)
    brush.ellipse(half - 0.05, back + 0.55, 0.4, 0.55, look.pale, 0.2, 0.7 * breed.fur)
    for x in (-half + 0.25, half - 0.5):
        _leg(brush, look, (x, belly - 0.45), (x + rng.uniform(-0.15, 0.15), 0.06), 0.5)
    brush.stroke(
        [(half - 0.3, back + 0.4), (half + 0.1, back - 0.5)], [1.3, 1.05], look.base, 0.0, breed.fur
    )
    return half + 0.1, back - 0.75, back + 0.08


def _lying(brush: Brush, look: Look, rng) -> tuple[float, float, float]:
    breed = look.breed
    half = 1.75 * (0.5 + 0.5 * breed.body)
    points = np.array([(-0.55, 0.2), (-0.5, 0.5), (0.3, 0.62), (1.0, 0.6)])
    if breed.tail == "stub":
        points = np.array([(-0.6, 0.1), (-0.7, 0.2)])
    trunk = brush.blob(
        [
            (-half - 0.1, -0.9),
            (-half + 0.6, -1.5),
            (0.2, -1.45),
            (half - 0.3, -1.55),
            (half + 0.25, -0.7),
            (half, -0.05),
            (0, 0.02),
            (-half, -0.05),
        ],
        look.base,
        0.5,
        breed.fur,
    )
    _pattern(brush, look, rng, trunk, (-half, -1.5, half, -0.3), upright=False)
    if breed.tail == "curled":
        _tail(brush, look, (-half + 0.1, -1.1), points)
    else:
        _tail(brush, look, (-half + 0.05, -0.6), points)
    brush.blob(
        [
            (-half + 0.1, -0.1),
            (-half + 0.2, -0.8),
            (-half + 0.9, -1.0),
            (-half + 1.4, -0.4),
            (-half + 1.1, 0.02),
        ],
        mix(look.base, (0, 0, 0), 0.06),
        0.4,
        breed.fur,
    )
    brush.ellipse(-half + 1.35, -0.08, 0.42, 0.19, look.paws(), 0.35)
    brush.ellipse(half - 0.35, -0.75, 0.55, 0.6, look.pale, 0.15, 0.7 * breed.fur)
    for x in (half - 0.75, half + 0.15):
        brush.stroke(
            [(x, -0.3), (x + 0.15, 0.0), (x + 0.3, 0.12)],
            [0.5, 0.44, 0.42],
            look.base,
            0.3,
            0.5 * breed.fur,
        )
        brush.ellipse(x + 0.34, 0.1, 0.3, 0.21, look.paws(), 0.35)
    return half - 0.3, -1.55, -0.75
