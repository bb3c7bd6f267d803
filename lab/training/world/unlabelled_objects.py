"""Unlabelled objects, which trackers follow and no text refers to: random outlines with natural textures.

Some take their colours from the background (camouflage), as objects of real video do.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.world.backgrounds import BACKGROUNDS, Tones
from lab.training.world.colours import Rgb, rgb_of, scaled
from lab.training.world.parts import Outline, Part, Point, capsule, fill, rounded
from lab.training.world.sprites import SPRITE_EXTENT, Sprite, draw_sprite
from lab.training.world.textures import Surface

SURFACES: Final = ("photo", "photo", "photo", "fractal", "gradient", "grass", "wood", "bricks", "tiles")
"Keys of `BACKGROUNDS` that texture an object; photo is sampled three times as often."
_CAMOUFLAGED: Final = 0.35
"Share of surfaces that take their colours from the background."


def draw_unlabelled_object(background: NDArray[np.uint8], side: int, rng: np.random.Generator) -> Sprite:
    """Draw a sprite of `side` pixels for an object in front of this background (H, W, 3)."""
    parts, surface = _body(rng), _surface(background, side, rng)
    for _ in range(int(rng.integers(5))):
        patch = np.zeros((side, side), dtype=np.uint8)
        middle = rng.uniform(-0.6, 0.6, size=2).tolist()
        outline = _blob((middle[0], middle[1]), float(rng.uniform(0.15, 0.6)), rng)
        pixels = (outline / SPRITE_EXTENT + 1) * side / 2
        cv2.fillPoly(patch, [pixels.round().astype(np.int32)], 1)
        cv2.copyTo(_surface(background, side, rng), patch, surface)
    return draw_sprite(parts, (128.0, 128.0, 128.0), surface, rng)


def _body(rng: np.random.Generator) -> list[Part]:
    """Return a trunk of random aspect and up to five limbs."""
    turn = rng.uniform(0, math.pi)
    lean = _blob((0.0, 0.0), 0.85, rng) * (1.0, rng.uniform(0.4, 1.0))
    trunk = lean @ np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return [fill(trunk), *(fill(_limb(rng)) for _ in range(int(rng.integers(6))))]


def _blob(middle: Point, radius: float, rng: np.random.Generator) -> Outline:
    """Return a smooth outline around a centre, within `radius`."""
    corners = int(rng.integers(5, 11))
    angles = (np.arange(corners) + rng.uniform(0, 0.9, size=corners)) * 2 * math.pi / corners
    radii = radius * rng.uniform(0.35, 1.0, size=corners)
    x, y = middle[0] + radii * np.cos(angles), middle[1] + radii * np.sin(angles)
    return rounded(*zip(x.tolist(), y.tolist(), strict=True))


def _limb(rng: np.random.Generator) -> Outline:
    angle, reach = rng.uniform(0, 2 * math.pi), rng.uniform(0.5, 0.85)
    thick = rng.uniform(0.06, 0.22)
    start = rng.uniform(-0.2, 0.2, size=2).tolist()
    end = (reach * math.cos(angle), reach * math.sin(angle))
    return capsule((start[0], start[1]), end, thick, thick * rng.uniform(0.4, 1.0))


def _surface(background: NDArray[np.uint8], side: int, rng: np.random.Generator) -> Surface:
    """Paint a surface (S, S, 3)."""
    kind = SURFACES[int(rng.integers(len(SURFACES)))]
    tones = _background_tones(background, rng) if rng.random() < _CAMOUFLAGED else _random_tones(rng)
    return BACKGROUNDS[kind].paint(tones, (side, side), rng)


def _background_tones(background: NDArray[np.uint8], rng: np.random.Generator) -> Tones:
    """Return two colours of the background, made darker or brighter so that the object keeps an edge."""
    light = float(rng.choice((0.6, 0.75, 1.3, 1.5)))
    rows, columns = rng.integers(background.shape[0], size=2), rng.integers(background.shape[1], size=2)
    return np.asarray(np.minimum(light * background[rows, columns], 250), dtype=np.float32)


def _random_tones(rng: np.random.Generator) -> Tones:
    hue, value = float(rng.uniform(0, 360)), float(rng.uniform(0.12, 0.95))
    saturation = float(rng.uniform()) ** 1.5
    first: Rgb = rgb_of(hue, saturation, value)
    second = rgb_of(hue + float(rng.uniform(-40, 40)), saturation * float(rng.uniform(0.5, 1.2)), value)
    return np.array([first, scaled(second, float(rng.uniform(0.4, 1.6)))], dtype=np.float32)
