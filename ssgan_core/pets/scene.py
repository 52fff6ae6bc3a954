"""Where a drawn pet is: backgrounds, people, things in the way, and the light."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from ssgan_core.pets.canvas import Brush, closed_curve, mix

SKINS = ((250, 214, 184), (226, 176, 132), (178, 122, 84), (118, 76, 52))
HAIRS = ((52, 38, 32), (110, 70, 40), (214, 170, 92), (160, 76, 44), (150, 148, 150))
CLOTHES = (
    (196, 74, 74),
    (70, 118, 176),
    (88, 148, 110),
    (222, 184, 84),
    (130, 96, 160),
    (96, 104, 116),
    (226, 222, 212),
)
SKIES = (
    ((122, 178, 230), (208, 230, 244)),
    ((170, 186, 204), (222, 226, 230)),
    ((150, 150, 200), (250, 208, 170)),
)
GROUNDS = {
    "lawn": (112, 162, 76),
    "sand": (222, 200, 152),
    "snow": (228, 234, 242),
    "leaves": (186, 140, 80),
    "paving": (164, 162, 160),
}
WALLS = (
    (222, 208, 190),
    (190, 204, 204),
    (206, 186, 176),
    (172, 184, 204),
    (214, 206, 168),
    (150, 164, 150),
    (232, 228, 222),
)
FLOORS = ((170, 122, 80), (202, 164, 118), (150, 146, 148), (196, 180, 166), (118, 92, 78))
HAZE = 0.5  # how far a background fades into its mean, so that animals stand out


def _gradient(image: Image.Image, box, top, bottom) -> None:
    """Fill a box (fractions of the image) with a vertical gradient."""
    n = image.width
    x0, y0, x1, y1 = (round(v * n) for v in box)
    share = np.linspace(0, 1, max(y1 - y0, 1))[:, None]
    rows = np.asarray(top) * (1 - share) + np.asarray(bottom) * share
    strip = Image.fromarray(np.clip(rows, 0, 255).astype(np.uint8)[:, None])
    image.paste(strip.resize((max(x1 - x0, 1), strip.height)), (x0, y0))


def draw_background(image: Image.Image, scene: str, rng: np.random.Generator, blur: float) -> None:
    """Paint an indoor or outdoor scene, out of focus by ``blur`` (a share of the image)."""
    (_outdoor if scene == "outdoor" else _indoor)(Brush.on(image), rng)
    soft = image.filter(ImageFilter.BoxBlur(blur * image.width))
    haze = soft.resize((1, 1), Image.Resampling.BOX).resize(image.size)
    image.paste(Image.blend(soft, haze.point(lambda v: int(0.7 * v + 66)), HAZE))


def _outdoor(brush: Brush, rng) -> None:
    horizon = rng.uniform(0.34, 0.62)
    top, low = SKIES[rng.integers(len(SKIES))]
    _gradient(brush.image, (0, 0, 1, horizon + 0.05), top, low)
    if rng.random() < 0.5:
        for x in rng.uniform(0, 1, 2):
            y = rng.uniform(0.05, 0.2)
            for dx in (-0.09, 0, 0.1):
                brush.ellipse(x + dx, y + abs(dx) * 0.2, 0.1, 0.045, (250, 250, 252))
    hill = mix(low, (84, 128, 92), 0.55)
    for x in rng.uniform(0, 1, 2):
        brush.ellipse(x, horizon + 0.03, rng.uniform(0.3, 0.5), rng.uniform(0.05, 0.16), hill)
    ground = np.array(tuple(GROUNDS.values())[rng.integers(len(GROUNDS))])
    if rng.random() < 0.6:
        green = mix((70, 116, 62), ground, rng.uniform(0, 0.35))
        for x in rng.uniform(0, 1, rng.integers(1, 4)):
            r = rng.uniform(0.08, 0.15)
            brush.stroke([(x, horizon + 0.03), (x, horizon - 1.3 * r)], 0.035, (104, 80, 60))
            for dx, dy in ((-0.6, -1.4), (0.6, -1.5), (0, -2.2)):
                brush.ellipse(x + dx * r, horizon + dy * r, r, r, green, 0.3)
    _gradient(brush.image, (0, horizon, 1, 1), ground * 0.88, ground * 1.06)
    if rng.random() < 0.35:
        fence = mix((236, 232, 224), (150, 110, 76), rng.random())
        for x in np.arange(0, 1.01, 0.1) + rng.uniform(-0.05, 0.05):
            brush.stroke([(x, horizon + 0.06), (x, horizon - 0.1)], 0.035, fence)
        brush.stroke([(-0.1, horizon - 0.03), (1.1, horizon - 0.03)], 0.025, fence * 0.95)
    for x, y in rng.uniform(0, 1, (6, 2)):
        spot = (x, horizon + 0.05 + y * (0.95 - horizon))
        brush.ellipse(*spot, 0.07, 0.014, ground * rng.uniform(0.84, 1.12))


def _indoor(brush: Brush, rng) -> None:
    horizon = rng.uniform(0.48, 0.72)
    wall = np.array(WALLS[rng.integers(len(WALLS))], float) * rng.uniform(0.8, 1.05)
    floor = np.array(FLOORS[rng.integers(len(FLOORS))], float)
    _gradient(brush.image, (0, 0, 1, horizon), wall * 1.03, wall * 0.9)
    _gradient(brush.image, (0, horizon, 1, 1), floor * 0.85, floor * 1.08)
    skirting = [(-0.1, horizon), (1.1, horizon)]
    brush.stroke(skirting, 0.024, mix(wall, (255, 255, 255), 0.45))
    left, thing = rng.uniform(0.02, 0.6), rng.random()
    if thing < 0.35:  # a window
        y = rng.uniform(0.04, 0.14)
        frame = np.array([(left, y), (left + 0.36, y), (left + 0.36, y + 0.34), (left, y + 0.34)])
        brush.paint(frame, (240, 238, 232))
        sky, light = SKIES[rng.integers(len(SKIES))]
        n = brush.image.width
        if left + 0.33 < 1:
            _gradient(brush.image, (left + 0.025, y + 0.025, left + 0.335, y + 0.315), sky, light)
        brush.stroke([(left + 0.18, y), (left + 0.18, y + 0.34)], max(0.02, 2 / n), (240, 238, 232))
    elif thing < 0.6:  # pictures
        for x in (left, left + 0.26):
            y, w, h = rng.uniform(0.05, 0.15), rng.uniform(0.14, 0.22), rng.uniform(0.14, 0.22)
            box = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
            brush.paint(box * (w, h) + (x, y), (92, 72, 58))
            art = rng.uniform(90, 230, 3)
            brush.paint(box * (w - 0.03, h - 0.03) + (x + 0.015, y + 0.015), art)
    elif thing < 0.85:  # a sofa
        cloth = np.array(CLOTHES[rng.integers(len(CLOTHES))]) * 0.9
        top = horizon - rng.uniform(0.12, 0.24)
        back = [(0.02, top), (0.98, top), (1.0, horizon + 0.1), (0.0, horizon + 0.1)]
        brush.blob(np.array(back) * (0.8, 1) + (left - 0.2, 0), cloth, 0.4)
        seat = [
            (0.0, horizon - 0.02),
            (1, horizon - 0.02),
            (1, horizon + 0.12),
            (0, horizon + 0.12),
        ]
        brush.blob(np.array(seat) * (0.8, 1) + (left - 0.2, 0), cloth * 1.08, 0.4)
    if rng.random() < 0.5:
        rug = np.array(CLOTHES[rng.integers(len(CLOTHES))], float)
        x = rng.uniform(0.3, 0.7)
        brush.ellipse(x, 0.9, 0.46, 0.13, rug * 0.9)
        brush.ellipse(x, 0.9, 0.38, 0.1, mix(rug, (240, 232, 220), 0.45))


def draw_person(brush: Brush, x: float, y: float, scale: float, reach, rng) -> None:
    """Paint a smiling person whose head is at (x, y), one arm around the point ``reach``."""
    skin = np.array(SKINS[rng.integers(len(SKINS))], float)
    hair = np.array(HAIRS[rng.integers(len(HAIRS))], float)
    cloth = np.array(CLOTHES[rng.integers(len(CLOTHES))], float)
    long = rng.random() < 0.5
    man = brush.moved(x, y, scale)
    if long:
        man.blob(
            [(-1.0, -0.5), (0, -1.3), (1.0, -0.5), (1.1, 1.3), (0, 1.5), (-1.1, 1.3)], hair, 0.3
        )
    man.stroke([(0, 0.4), (0, 1.6)], 0.75, skin * 0.88)
    body = [
        (-0.7, 1.35),
        (0.7, 1.35),
        (1.6, 1.9),
        (1.85, 3.5),
        (1.7, 9),
        (-1.7, 9),
        (-1.85, 3.5),
        (-1.6, 1.9),
    ]
    man.blob(body, cloth, 0.3)
    for side in (-1, 1):
        man.ellipse(0.84 * side, 0.05, 0.16, 0.22, skin * 0.94)
    man.ellipse(0, 0, 0.84, 1.0, skin, 0.35)
    cap = [
        (-0.9, 0.0),
        (-0.86, -0.75),
        (0, -1.18),
        (0.86, -0.75),
        (0.9, 0.0),
        (0.62, -0.5),
        (-0.1, -0.62),
        (-0.66, -0.4),
    ]
    man.blob(cap, hair, 0.25)
    for side in (-1, 1):
        man.ellipse(0.3 * side, 0.02, 0.085, 0.11, (44, 34, 34))
        man.ellipse(0.48 * side, 0.34, 0.16, 0.1, mix(skin, (232, 110, 100), 0.3))
    man.blob([(-0.32, 0.42), (0, 0.5), (0.32, 0.42), (0.2, 0.64), (-0.2, 0.64)], (168, 62, 62))
    man.blob([(-0.24, 0.45), (0, 0.51), (0.24, 0.45), (0, 0.57)], (250, 246, 240))
    shoulder = (x + np.sign(reach[0] - x) * 1.3 * scale, y + 2.2 * scale)
    elbow = ((shoulder[0] + reach[0]) / 2, max(shoulder[1], reach[1]) + 0.5 * scale)
    brush.stroke(
        [shoulder, elbow, reach], [0.95 * scale, 0.8 * scale, 0.62 * scale], cloth * 0.93, 0.35
    )
    brush.ellipse(*reach, 0.42 * scale, 0.36 * scale, skin, 0.3)


def draw_obstruction(brush: Brush, kind: str, neck, top: float, rng) -> None:
    """Paint bars, a leash from ``neck``, or furniture below ``top``, in front of a pet."""
    if kind == "bars":
        color = mix((70, 70, 76), (224, 222, 216), rng.random())
        gap, width = rng.uniform(0.15, 0.24), rng.uniform(0.018, 0.034)
        for y in (rng.uniform(0.02, 0.12), rng.uniform(0.88, 0.97)):
            brush.stroke([(-0.1, y), (1.1, y)], width * 1.2, color * 0.9, 0.3)
        for x in np.arange(rng.uniform(0, gap), 1.05, gap):
            brush.stroke([(x, -0.1), (x, 1.1)], width, color, 0.4)
    elif kind == "leash":
        color = np.array(CLOTHES[rng.integers(len(CLOTHES) - 1)], float) * 0.9
        end = np.array((rng.choice((-0.05, 1.05)), rng.uniform(-0.05, 0.35)))
        sag = (neck + end) / 2 + (0, rng.uniform(0.02, 0.12))
        brush.stroke([neck, sag, end], rng.uniform(0.02, 0.032), color, 0.3)
        brush.ellipse(*neck, 0.02, 0.02, (206, 206, 210))
    elif kind == "furniture":
        if rng.random() < 0.5:  # a cardboard box or a wooden chest
            wood = mix((204, 164, 112), (132, 92, 62), rng.random())
            slant = rng.uniform(-0.02, 0.02)
            front = [(-0.1, top - slant), (1.1, top + slant), (1.1, 1.1), (-0.1, 1.1)]
            brush.paint(front, wood, 0.3)
            brush.stroke([(-0.1, top - slant), (1.1, top + slant)], 0.03, wood * 1.12, 0.3)
        else:  # the arm of a sofa, or a cushion, from one side
            cloth = np.array(CLOTHES[rng.integers(len(CLOTHES))], float) * 0.92
            side = rng.random() < 0.5
            arm = closed_curve(
                np.array(
                    [(-0.2, top), (0.4, top - 0.06), (0.62, top + 0.04), (0.66, 1.2), (-0.2, 1.2)]
                )
            )
            arm = arm * (-1, 1) + (1, 0) if side else arm
            brush.paint(arm, cloth, 0.5)


def draw_light(image: Image.Image, lighting: str, rng: np.random.Generator) -> Image.Image:
    """Put a finished picture into its light: day, dim, warm or backlit."""
    pixels = np.asarray(image, np.float32)
    exposure = rng.uniform(0.94, 1.06)
    gain = {
        "day": (1.0, 1.0, 1.0),
        "dim": (0.7, 0.72, 0.78),
        "warm": (1.04, 0.92, 0.76),
        "backlit": (1.02, 1.0, 0.94),
    }[lighting]
    line = np.linspace(-1, 1, image.width, dtype=np.float32)
    lamp = rng.uniform(-0.5, 0.5, 2)
    far = (line[None, :] - lamp[0]) ** 2 + (line[:, None] - lamp[1]) ** 2
    depth = {"day": 0.06, "dim": 0.1, "warm": 0.08, "backlit": 0.0}[lighting]
    pixels = pixels * (exposure * np.array(gain, np.float32)) * (1 - depth * far)[..., None]
    if lighting == "backlit":
        pixels = pixels * 0.88 + 26
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def shadow(brush: Brush, x: float, y: float, width: float) -> None:
    """Darken the ground under an animal."""
    brush.glow(x, y, 1.35 * width, 0.3 * width, (30, 26, 30), 0.9)
