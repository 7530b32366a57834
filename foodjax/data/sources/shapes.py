"""Draws ten classes of shapes on coloured, noisy backgrounds: data for the demo and for tests without a download.

Rotation and reflection do not change the class of a shape.
"""

import io
import math

import numpy as np
from PIL import Image, ImageDraw

CLASS_NAMES = (
    "bars",
    "checkerboard",
    "cross",
    "crescent",
    "dots",
    "hexagon",
    "ring",
    "spiral",
    "star",
    "triangle",
)
VERSION = 1  # of the drawing: part of the cache's key
SIDE = 64  # pixels


def draw_png(class_name: str, number: int, seed: int) -> bytes:
    """Returns picture `number` of a class as an encoded PNG (SIDE x SIDE, RGB); a pure function."""
    rng = np.random.default_rng((seed, CLASS_NAMES.index(class_name), number))
    ground = rng.integers(0, 256, 3)
    while True:
        ink = rng.integers(0, 256, 3)
        if np.abs(ink - ground).sum() > 200:  # a shape must be visible
            break
    mask = Image.new("L", (SIDE, SIDE), 0)
    pen = ImageDraw.Draw(mask)
    radius = rng.uniform(0.28, 0.45) * SIDE
    centre = SIDE / 2 + rng.uniform(-0.1, 0.1, 2) * SIDE
    turn = rng.uniform(0, 2 * math.pi)
    _SHAPES[class_name](pen, centre, radius, turn)
    alpha = np.asarray(mask, np.float64)[..., None] / 255
    picture = ground * (1 - alpha) + ink * alpha + rng.normal(0, 12, (SIDE, SIDE, 3))
    buffer = io.BytesIO()
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _at(centre, radius, angle):
    return (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))


def _polygon(pen, centre, radii, turn):
    n = len(radii)
    pen.polygon([_at(centre, r, turn + 2 * math.pi * k / n) for k, r in enumerate(radii)], fill=255)


def _disc(pen, centre, radius, fill):
    x, y = centre
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)


def _square(pen, centre, half, turn, fill=255):
    corners = [_at(centre, half * math.sqrt(2), turn + math.pi * (k / 2 + 0.25)) for k in range(4)]
    pen.polygon(corners, fill=fill)


def _bar(pen, centre, length, width, turn):
    across = turn + math.pi / 2
    ends = [_at(centre, length, turn), _at(centre, -length, turn)]
    pen.polygon(
        [
            _at(ends[0], width, across),
            _at(ends[0], -width, across),
            _at(ends[1], -width, across),
            _at(ends[1], width, across),
        ],
        fill=255,
    )


def _bars(pen, centre, radius, turn):
    for k in (-1, 0, 1):
        _bar(pen, _at(centre, k * radius * 0.7, turn + math.pi / 2), radius, radius * 0.17, turn)


def _checkerboard(pen, centre, radius, turn):
    cell = radius * 0.55
    for i in range(-1, 2):
        for j in range(-1, 2):
            if (i + j) % 2 == 0:
                _square(pen, _at(_at(centre, i * cell, turn), j * cell, turn + math.pi / 2), cell / 2, turn)


def _cross(pen, centre, radius, turn):
    _bar(pen, centre, radius, radius * 0.2, turn)
    _bar(pen, centre, radius, radius * 0.2, turn + math.pi / 2)


def _crescent(pen, centre, radius, turn):
    _disc(pen, centre, radius, 255)
    _disc(pen, _at(centre, radius * 0.6, turn), radius * 0.85, 0)


def _dots(pen, centre, radius, turn):
    for k in range(5):
        _disc(pen, _at(centre, radius * 0.75, turn + 2 * math.pi * k / 5), radius * 0.22, 255)


def _hexagon(pen, centre, radius, turn):
    _polygon(pen, centre, [radius] * 6, turn)


def _ring(pen, centre, radius, turn):
    _disc(pen, centre, radius, 255)
    _disc(pen, centre, radius * 0.65, 0)


def _spiral(pen, centre, radius, turn):
    points = [_at(centre, radius * t, turn + 4 * math.pi * t) for t in np.linspace(0.05, 1, 60)]
    pen.line(points, fill=255, width=max(2, int(radius * 0.18)))


def _star(pen, centre, radius, turn):
    _polygon(pen, centre, [radius, radius * 0.4] * 5, turn)


def _triangle(pen, centre, radius, turn):
    _polygon(pen, centre, [radius] * 3, turn)


_SHAPES = {
    "bars": _bars,
    "checkerboard": _checkerboard,
    "cross": _cross,
    "crescent": _crescent,
    "dots": _dots,
    "hexagon": _hexagon,
    "ring": _ring,
    "spiral": _spiral,
    "star": _star,
    "triangle": _triangle,
}
