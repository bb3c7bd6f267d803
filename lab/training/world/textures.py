"""Textures of an object's surface; most of it keeps the named colour."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.training.world.colours import Rgb, between, blended, luma, scaled
from lab.training.world.noise import fractal_noise

Surface = NDArray[np.uint8]
"(S, S, 3) RGB: the texture of a sprite."


def plain(rgb: Rgb, side: int, _: np.random.Generator) -> Surface:
    """Fill with one colour."""
    return between(rgb, rgb, np.zeros((side, side), dtype=np.uint8))


def gradient(rgb: Rgb, side: int, rng: np.random.Generator) -> Surface:
    """Paint a gradient of brightness in a random direction."""
    return between(rgb, _brighter(rgb, 0.16), _ramp(side, rng.uniform(0, 2 * math.pi)))


def mottled(rgb: Rgb, side: int, rng: np.random.Generator) -> Surface:
    """Paint brightness noise, as of stone or fur."""
    noise = np.clip(fractal_noise(rng, (side, side), float(rng.uniform(0.1, 0.4))), -1.5, 1.5)
    return between(rgb, _brighter(rgb, rng.uniform(0.06, 0.13)), noise)


def stripes(rgb: Rgb, side: int, rng: np.random.Generator) -> Surface:
    """Paint thin bands of another tone."""
    wave = _ramp(side, rng.uniform(0, math.pi)) * rng.uniform(1.6, 3.5) + rng.uniform()
    return _with_second_tone(rgb, _fraction(wave) < rng.uniform(0.2, 0.3), rng)


def dots(rgb: Rgb, side: int, rng: np.random.Generator) -> Surface:
    """Paint spots of another tone in a grid."""
    turn, pitch = rng.uniform(0, math.pi / 2), rng.uniform(2.0, 3.5)
    a = _fraction(_ramp(side, turn) * pitch + rng.uniform()) - 0.5
    b = _fraction(_ramp(side, turn + math.pi / 2) * pitch + rng.uniform()) - 0.5
    return _with_second_tone(rgb, a * a + b * b < rng.uniform(0.05, 0.08), rng)


def checks(rgb: Rgb, side: int, rng: np.random.Generator) -> Surface:
    """Paint squares in two shades of the colour."""
    turn, pitch = rng.uniform(0, math.pi / 2), rng.uniform(1.0, 2.2)
    a = np.floor(_ramp(side, turn) * pitch + rng.uniform())
    b = np.floor(_ramp(side, turn + math.pi / 2) * pitch + rng.uniform())
    odd = _fraction((a + b) * 0.5) > 0
    return _mixed(rgb, scaled(rgb, 0.8) if luma(rgb) > 60 else blended(rgb, (90.0, 90.0, 90.0), 0.25), odd)


TEXTURES: Final[dict[str, Callable[[Rgb, int, np.random.Generator], Surface]]] = {
    "plain": plain,
    "gradient": gradient,
    "mottled": mottled,
    "stripes": stripes,
    "dots": dots,
    "checks": checks,
}


def _brighter(rgb: Rgb, share: float) -> Rgb:
    """Increase brightness by a share, not clipped: `between` interpolates towards it and clips then."""
    red, green, blue = ((1 + share) * channel for channel in rgb)
    return red, green, blue


def _ramp(side: int, turn: float) -> NDArray[np.float32]:
    """Return (S, S): the coordinate along a direction, about -1..1."""
    axis = _axis(side)
    return (axis * math.cos(turn))[None] + (axis * math.sin(turn))[:, None]


@lru_cache(maxsize=512)
def _axis(side: int) -> NDArray[np.float32]:
    return np.linspace(-1, 1, side, dtype=np.float32)


def _fraction(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the fractional part; takes a tenth of the time of `% 1`."""
    return np.asarray(values - np.floor(values))


def _with_second_tone(rgb: Rgb, second: NDArray[np.bool_], rng: np.random.Generator) -> Surface:
    """Paint a second tone where `second`: neutral or a shade of the first, which keeps the colour name."""
    bright = luma(rgb)
    tones = [scaled(rgb, 0.6)] if bright > 60 else [(105.0, 105.0, 108.0)]
    if bright < 190:
        tones.append((228.0, 228.0, 224.0))
    if bright > 90:
        tones.append((42.0, 42.0, 46.0))
    return _mixed(rgb, tones[int(rng.integers(len(tones)))], second)


def _mixed(rgb: Rgb, other: Rgb, where: NDArray[np.bool_]) -> Surface:
    return between(rgb, other, where.view(np.uint8))
