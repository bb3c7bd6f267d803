"""Things without a name, to be followed and not to be spoken of: an outline nobody has seen, and surfaces
like photographs, some of them like what is behind."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.world.backgrounds import GROUNDS, Tones
from lab.training.world.colours import Rgb, rgb_of, scaled
from lab.training.world.parts import Outline, Part, Point, fill, limb, smooth
from lab.training.world.sprites import REACH, Sprite, draw_sprite
from lab.training.world.textures import Paint

SURFACES: Final = ("photo", "photo", "photo", "fractal", "gradient", "grass", "wood", "bricks", "tiles")
"Grounds that may cover a thing too."
_CAMOUFLAGED: Final = 0.35
"Share of surfaces that take their colour from the ground."


def draw_stranger(ground: NDArray[np.uint8], side: int, rng: np.random.Generator) -> Sprite:
    """Something that stands before this ground (H, W, 3), on a sprite of `side` pixels."""
    parts, surface = _body(rng), _cloth(ground, side, rng)
    for _ in range(int(rng.integers(5))):
        patch = np.zeros((side, side), dtype=np.uint8)
        middle = rng.uniform(-0.6, 0.6, size=2).tolist()
        outline = (_blob((middle[0], middle[1]), float(rng.uniform(0.15, 0.6)), rng) / REACH + 1) * side / 2
        cv2.fillPoly(patch, [outline.round().astype(np.int32)], 1)
        cv2.copyTo(_cloth(ground, side, rng), patch, surface)
    return draw_sprite(parts, (128.0, 128.0, 128.0), surface, rng)


def _body(rng: np.random.Generator) -> list[Part]:
    """A trunk, lean or stout, and what grows out of it."""
    turn = rng.uniform(0, math.pi)
    lean = _blob((0.0, 0.0), 0.85, rng) * (1.0, rng.uniform(0.4, 1.0))
    trunk = lean @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return [fill(trunk), *(fill(_limb(rng)) for _ in range(int(rng.integers(6))))]


def _blob(middle: Point, radius: float, rng: np.random.Generator) -> Outline:
    """A smooth outline about a middle, nowhere further from it than `radius`."""
    corners = int(rng.integers(5, 11))
    angles = (np.arange(corners) + rng.uniform(0, 0.9, size=corners)) * 2 * math.pi / corners
    radii = radius * rng.uniform(0.35, 1.0, size=corners)
    x, y = middle[0] + radii * np.cos(angles), middle[1] + radii * np.sin(angles)
    return smooth(*zip(x.tolist(), y.tolist(), strict=True))


def _limb(rng: np.random.Generator) -> Outline:
    angle, reach = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 0.85)
    thick = rng.uniform(0.06, 0.22)
    start = rng.uniform(-0.2, 0.2, size=2).tolist()
    end = (reach * math.cos(angle), reach * math.sin(angle))
    return limb((start[0], start[1]), end, thick, thick * rng.uniform(0.4, 1.0))


def _cloth(ground: NDArray[np.uint8], side: int, rng: np.random.Generator) -> Paint:
    """(S, S, 3) one surface."""
    kind = SURFACES[int(rng.integers(len(SURFACES)))]
    tones = _like(ground, rng) if rng.random() < _CAMOUFLAGED else _any(rng)
    return GROUNDS[kind].paint(tones, (side, side), rng)


def _like(ground: NDArray[np.uint8], rng: np.random.Generator) -> Tones:
    """Two colours of the ground, clearly darker or brighter: even so, what moves before it has an edge."""
    light = float(rng.choice((0.6, 0.75, 1.3, 1.5)))
    rows, columns = rng.integers(ground.shape[0], size=2), rng.integers(ground.shape[1], size=2)
    return np.asarray(np.minimum(light * ground[rows, columns], 250), dtype=np.float32)


def _any(rng: np.random.Generator) -> Tones:
    hue, value = float(rng.uniform(0, 360)), float(rng.uniform(0.12, 0.95))
    saturation = float(rng.uniform()) ** 1.5
    first: Rgb = rgb_of(hue, saturation, value)
    second = rgb_of(hue + float(rng.uniform(-40, 40)), saturation * float(rng.uniform(0.5, 1.2)), value)
    return np.array([first, scaled(second, float(rng.uniform(0.4, 1.6)))], dtype=np.float32)
