"""What a surface of one colour may look like; the named colour stays the one seen most."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.training.world.colours import Rgb, blended, luma, scaled
from engines.training.world.noise import field

Paint = NDArray[np.float32]
"(S, S, 3) RGB, 0..255."


def plain(rgb: Rgb, side: int, _: np.random.Generator) -> Paint:
    """One colour."""
    return np.broadcast_to(np.asarray(rgb, dtype=np.float32), (side, side, 3)).copy()


def gradient(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """From darker to brighter in some direction."""
    along = _ramp(side, rng.uniform(0, 2 * math.pi))
    return (1.0 + 0.16 * along)[..., None] * np.asarray(rgb, dtype=np.float32)


def mottled(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """Cloudy, as stone or fur."""
    noise = np.clip(field(rng, (side, side), float(rng.uniform(0.1, 0.4))), -1.5, 1.5)
    return (1.0 + float(rng.uniform(0.06, 0.13)) * noise)[..., None] * np.asarray(rgb, dtype=np.float32)


def stripes(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """Thin bands of another tone."""
    wave = _ramp(side, rng.uniform(0, math.pi)) * rng.uniform(1.6, 3.5) + rng.uniform()
    return _two_toned(rgb, wave % 1.0 < rng.uniform(0.2, 0.3), rng)


def dots(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """Spots of another tone in a grid."""
    turn, pitch = rng.uniform(0, math.pi / 2), rng.uniform(2.0, 3.5)
    a = (_ramp(side, turn) * pitch + rng.uniform()) % 1.0 - 0.5
    b = (_ramp(side, turn + math.pi / 2) * pitch + rng.uniform()) % 1.0 - 0.5
    return _two_toned(rgb, a**2 + b**2 < rng.uniform(0.05, 0.08), rng)


def checks(rgb: Rgb, side: int, rng: np.random.Generator) -> Paint:
    """Squares of two shades of the colour itself."""
    turn, pitch = rng.uniform(0, math.pi / 2), rng.uniform(1.0, 2.2)
    a = np.floor(_ramp(side, turn) * pitch + rng.uniform())
    b = np.floor(_ramp(side, turn + math.pi / 2) * pitch + rng.uniform())
    odd = (a + b) % 2 > 0
    return _mixed(rgb, scaled(rgb, 0.8) if luma(rgb) > 60 else blended(rgb, (90.0, 90.0, 90.0), 0.25), odd)


TEXTURES: Final[dict[str, Callable[[Rgb, int, np.random.Generator], Paint]]] = {
    "plain": plain,
    "gradient": gradient,
    "mottled": mottled,
    "stripes": stripes,
    "dots": dots,
    "checks": checks,
}


def _ramp(side: int, turn: float) -> NDArray[np.float32]:
    """(S, S): distance along a direction, about -1..1."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return (axis * math.cos(turn))[None] + (axis * math.sin(turn))[:, None]


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
    tones = np.array([rgb, other], dtype=np.float32)
    return tones[where.astype(np.intp)]
