"""A brush that paints smooth, softly shaded shapes on a Pillow image in any affine frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Color = np.ndarray | tuple[float, float, float]
RIM_LIGHT = (255, 244, 214)
CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 28, endpoint=False)) for f in (np.cos, np.sin)], 1)


def _spline_weights(samples: int = 6) -> np.ndarray:
    """Catmull-Rom weights (samples, 4) of four neighboring control points."""
    t = np.arange(samples)[:, None] / samples
    return (
        np.hstack(
            [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
        )
        / 2
    )


SPLINE = _spline_weights()


def closed_curve(points: np.ndarray) -> np.ndarray:
    """A smooth closed outline through control points (n, 2)."""
    near = np.stack([np.roll(points, k, axis=0) for k in (1, 0, -1, -2)], axis=1)
    return (SPLINE @ near).reshape(-1, 2)


def open_curve(points: np.ndarray) -> np.ndarray:
    """A smooth open line through control points (n, k)."""
    ends = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    near = np.stack([ends[k : len(ends) - 3 + k] for k in range(4)], axis=1)
    return np.concatenate([(SPLINE @ near).reshape(-1, points.shape[1]), points[-1:]])


def mirror(points: np.ndarray) -> np.ndarray:
    """Close a right half-outline (top to bottom) with its mirror image in x = 0."""
    points = np.asarray(points, float)
    left = points[::-1] * (-1, 1)
    return np.concatenate([points, left[np.abs(left[:, 0]) > 1e-9]])


def horn(base: Color, tip: Color, end: Color, bulge: float = 0.1) -> np.ndarray:
    """A pointed outline from ``base`` over ``tip`` to ``end`` whose sides curve outward."""
    base, tip, end = (np.asarray(p, float) for p in (base, tip, end))
    t = np.linspace(0, 1, 8)[:, None]
    center = (base + end) / 2
    sides = []
    for start, stop, foot in ((base, tip, base), (tip, end, end)):
        control = (start + stop) / 2 + bulge * (foot - center) * 2
        sides.append((1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * stop)
    return np.concatenate(sides)


def mix(a: Color, b: Color, share: float) -> np.ndarray:
    """The color ``share`` of the way from ``a`` to ``b``."""
    return np.asarray(a, float) * (1 - share) + np.asarray(b, float) * share


@dataclass(frozen=True)
class Shape:
    """Where a shape lies on the image: its mask and the corner of the mask."""

    mask: Image.Image
    corner: tuple[int, int]


@dataclass(frozen=True)
class Brush:
    """Paints on ``image`` in local coordinates (x right, y down).

    ``tone`` multiplies every color and ``rim`` is the strength of light along upper edges, so that
    one lighting applies to everything painted in a frame.
    """

    image: Image.Image
    matrix: np.ndarray
    origin: np.ndarray
    tone: float = 1.0
    rim: float = 0.0

    @classmethod
    def on(cls, image: Image.Image) -> Brush:
        """A brush whose unit square is the whole image."""
        return cls(image, np.eye(2) * image.width, np.zeros(2))

    def moved(self, x: float, y: float, scale: float = 1.0, angle: float = 0.0, flip: bool = False):
        """The same brush in a frame placed, turned (radians), scaled and mirrored in this one."""
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = self.matrix @ turn * scale * (np.array([-1.0, 1.0]) if flip else 1.0)
        return replace(self, matrix=matrix, origin=self.matrix @ (x, y) + self.origin)

    @property
    def unit(self) -> float:
        """Pixels per local unit."""
        return float(np.sqrt(abs(np.linalg.det(self.matrix))))

    def shape(self, outline: np.ndarray, fluff: float = 0.0, opacity: float = 1.0) -> Shape:
        """The mask of an outline (n, 2); ``fluff`` is the length of tufts along its edge."""
        pixels = np.asarray(outline, float) @ self.matrix.T + self.origin
        if fluff:
            pixels = _tufts(pixels, fluff * self.unit)
        n = self.image.width
        low = np.minimum(np.maximum(pixels.min(0) - 1, 0), n - 1).astype(int)
        high = np.minimum(np.maximum(pixels.max(0) + 2, low + 1), n).astype(int)
        mask = Image.new("L", tuple((high - low).tolist()))
        ImageDraw.Draw(mask).polygon((pixels - low).ravel().tolist(), fill=int(255 * opacity))
        return Shape(mask, tuple(low.tolist()))

    def fill(self, shape: Shape, color: Color, tone: float | None = None) -> None:
        """Paint a shape flat."""
        tone = self.tone if tone is None else tone
        self.image.paste(tuple(min(int(v * tone), 255) for v in color), shape.corner, shape.mask)

    def paint(self, outline, color: Color, shade: float = 0.0, fluff: float = 0.0) -> Shape:
        """Paint an outline, darker toward its lower edge by ``shade`` (a share), and return it."""
        shape = self.shape(outline, fluff)
        self.fill(shape, color)
        if shade:
            size = max(3.0, 0.16 * min(shape.mask.size))
            self._edge(shape, mix(color, (0, 0, 0), 0.55), shade, -size)
            self._edge(shape, mix(color, (255, 250, 235), 0.5), 0.35 * shade, 0.8 * size)
            if self.rim:
                self._edge(shape, RIM_LIGHT, self.rim, 0.03 * self.image.width, tone=1.0)
        return shape

    def _edge(self, shape, color, opacity, size, tone=None) -> None:
        """Blend a color into one edge: what a blurred copy, moved down by size, leaves bare."""
        moved = Image.new("L", shape.mask.size)
        moved.paste(shape.mask, (int(size) // 2, int(size)))
        moved = moved.filter(ImageFilter.BoxBlur(abs(size) / 2))
        edge = ImageChops.subtract(shape.mask, moved, scale=1 / opacity)
        self.fill(Shape(edge, shape.corner), color, tone)

    def inside(self, shape: Shape, outlines: list[np.ndarray], color: Color) -> None:
        """Paint outlines only where they lie inside a shape."""
        drawn = Image.new("L", shape.mask.size)
        pen = ImageDraw.Draw(drawn)
        for outline in outlines:
            pixels = np.asarray(outline, float) @ self.matrix.T + self.origin - shape.corner
            pen.polygon(pixels.ravel().tolist(), fill=255)
        self.fill(Shape(ImageChops.multiply(drawn, shape.mask), shape.corner), color)

    def blob(self, points, color: Color, shade: float = 0.0, fluff: float = 0.0) -> Shape:
        """Paint a smooth closed shape through control points."""
        return self.paint(closed_curve(np.asarray(points, float)), color, shade, fluff)

    def ellipse(self, x, y, rx, ry, color: Color, shade: float = 0.0, fluff: float = 0.0) -> Shape:
        """Paint an ellipse."""
        return self.paint(CIRCLE * (rx, ry) + (x, y), color, shade, fluff)

    def stroke(self, points, widths, color: Color, shade: float = 0.0, fluff: float = 0.0) -> Shape:
        """Paint a smooth round-ended line whose width changes along its control points."""
        return self.paint(stroke_outline(points, widths), color, shade, fluff)

    def glow(self, x, y, rx, ry, color: Color, opacity: float) -> None:
        """Paint an ellipse that fades out from its center, whatever the tone."""
        n, box = self.image.width, (2 * np.array((rx, ry)) * self.unit).astype(int) + 1
        corner = self.matrix @ (x, y) + self.origin - box / 2
        fade = Image.new("L", (n, n))
        fade.paste(_FADE.resize(tuple(box.tolist())), tuple(corner.astype(int).tolist()))
        fade = ImageChops.multiply(fade, Image.new("L", (n, n), int(255 * opacity)))
        self.fill(Shape(fade, (0, 0)), color, tone=1.0)


def stroke_outline(points, widths) -> np.ndarray:
    """The outline of a round-ended line through points (n, 2) with one width or n widths."""
    points = np.asarray(points, float)
    widths = np.broadcast_to(np.asarray(widths, float), len(points))
    line = open_curve(np.column_stack([points, widths / 2]))
    along = np.gradient(line[:, :2], axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    aside = along[:, ::-1] * (-1, 1) * np.abs(line[:, 2:])
    angle = np.linspace(0, np.pi, 7)[1:-1, None]
    caps = [
        line[k, :2] + sign * (aside[k] * np.cos(angle) + along[k] * abs(line[k, 2]) * np.sin(angle))
        for k, sign in ((-1, 1), (0, -1))
    ]
    return np.concatenate([line[:, :2] + aside, caps[0], (line[:, :2] - aside)[::-1], caps[1]])


def _tufts(pixels: np.ndarray, length: float) -> np.ndarray:
    """Push points of an outline out and in by turns along its normals, as fur."""
    step = np.roll(pixels, -1, axis=0) - pixels
    gap = np.cumsum(np.linalg.norm(step, axis=1))
    count = max(8, int(gap[-1] / max(1.5 * length, 2.0)))
    at = np.linspace(0, gap[-1], 2 * count, endpoint=False)
    base = np.stack([np.interp(at, gap, axis) for axis in np.roll(pixels, -1, axis=0).T], axis=1)
    along = np.roll(base, -1, axis=0) - np.roll(base, 1, axis=0)
    normal = along[:, ::-1] * (1, -1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    center = base.mean(0)
    normal *= np.sign(((base - center) * normal).sum()) or 1.0
    number = np.arange(2 * count)
    out = np.where(number % 2, 0.6 + 0.4 * np.sin(2.4 * number), -0.25)
    return base + normal * (length * out)[:, None]


_radius = np.hypot(*np.meshgrid(np.linspace(-1, 1, 64), np.linspace(-1, 1, 64)))
_FADE = Image.fromarray((255 * np.clip(1 - _radius, 0, 1) ** 1.5).astype(np.uint8))
