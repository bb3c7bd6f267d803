"""What a surface of one colour may look like; the named colour stays the one seen most."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.training.world.colours import Rgb, between, blended, luma, scaled
from lab.training.world.noise import field

Paint = NDArray[np.uint8]
"(S, S, 3) RGB."


def plain(rgb: Rgb, side: int, _: np.random.Generator) -> Paint:
    """One colour."""
    return between(rgb, rgb, np.zeros((side, side), dtype=np.uint8))


def gradient(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """From darker to brighter in some direction."""
    return between(rgb, _brighter(rgb, 0.16), _ramp(side, rng.uniform(0, 2 * math.pi)))


def mottled(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """Cloudy, as stone or fur."""
    noise = np.clip(field(rng, (side, side), float(rng.uniform(0.1, 0.4))), -1.5, 1.5)
    return between(rgb, _brighter(rgb, rng.uniform(0.06, 0.13)), noise)


def stripes(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """Thin bands of another tone."""
    wave = _ramp(side, rng.uniform(0, math.pi)) * rng.uniform(1.6, 3.5) + rng.uniform()
    return _two_toned(rgb, _beyond_whole(wave) < rng.uniform(0.2, 0.3), rng)


def dots(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """Spots of another tone in a grid."""
    turn, pitch = rng.uniform(0, math.pi / 2), rng.uniform(2.0, 3.5)
    a = _beyond_whole(_ramp(side, turn) * pitch + rng.uniform()) - 0.5
    b = _beyond_whole(_ramp(side, turn + math.pi / 2) * pitch + rng.uniform()) - 0.5
    return _two_toned(rgb, a * a + b * b < rng.uniform(0.05, 0.08), rng)


def checks(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """Squares of two shades of the colour itself."""
    turn, pitch = rng.uniform(0, math.pi / 2), rng.uniform(1.0, 2.2)
    a = np.floor(_ramp(side, turn) * pitch + rng.uniform())
    b = np.floor(_ramp(side, turn + math.pi / 2) * pitch + rng.uniform())
    odd = _beyond_whole((a + b) * 0.5) > 0
    return _mixed(rgb, scaled(rgb, 0.8) if luma(rgb) > 60 else blended(rgb, (90.0, 90.0, 90.0), 0.25), odd)


TEXTURES: Final[dict[str, Callable[[Rgb, int, np.random.Generator], Paint]]] = {
    "plain": plain,
    "gradient": gradient,
    "mottled": mottled,
    "stripes": stripes,
    "dots": dots,
    "checks": checks,
}


def _brighter(rgb: Rgb, share: float) -> Rgb:
    """By that share, even beyond what can be shown: `between` goes there and no further than light does."""
    red, green, blue = ((1 + share) * channel for channel in rgb)
    return red, green, blue


def _ramp(side: int, turn: float) -> NDArray[np.float32]:
    """(S, S): distance along a direction, about -1..1."""
    axis = _axis(side)
    return (axis * math.cos(turn))[None] + (axis * math.sin(turn))[:, None]


@lru_cache(maxsize=512)
def _axis(side: int) -> NDArray[np.float32]:
    return np.linspace(-1, 1, side, dtype=np.float32)


def _beyond_whole(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is left above the next lower whole number: a tenth of what `% 1` costs."""
    return np.asarray(values - np.floor(values))


def _two_toned(rgb: Rgb, second: NDArray[np.bool_], rng: np.random.Generator) -> Paint:
    """The second tone is neutral or a shade of the first: it never makes the thing another colour's."""
    bright = luma(rgb)
    tones = [scaled(rgb, 0.6)] if bright > 60 else [(105.0, 105.0, 108.0)]
    if bright < 190:
        tones.append((228.0, 228.0, 224.0))
    if bright > 90:
        tones.append((42.0, 42.0, 46.0))
    return _mixed(rgb, tones[int(rng.integers(len(tones)))], second)


def _mixed(rgb: Rgb, other: Rgb, where: NDArray[np.bool_]) -> Paint:
    return between(rgb, other, where.view(np.uint8))
