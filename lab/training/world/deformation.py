"""Deformation of a sprite over time: travelling waves of displacement, from rigid to flag-like."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.world.sprites import SPRITE_EXTENT, Sprite

_NODES: Final = 24
"Nodes along a sprite, a dozen or more per wavelength; displacements are interpolated between them."
_MAX_STRAIN: Final = 0.8
"Greatest stretch or compression of all waves together; from 1 on the sprite would fold over itself."
_MAX_DISPLACEMENT: Final = 0.3
"Greatest displacement of all waves together, unit space; the margin of a sprite has room for it."


@dataclass(frozen=True, slots=True)
class Wave:
    """A travelling wave of displacement in unit space."""

    vector: tuple[float, float]
    "Wave vector, radians per unit."
    amplitude: tuple[float, float]
    "x, y of the greatest displacement, units."
    rate_rad_s: float
    phase: float


@dataclass(frozen=True, slots=True)
class Deformation:
    """A sum of waves; none leave the sprite rigid."""

    waves: tuple[Wave, ...] = ()

    def displacements(self, time_s: float) -> NDArray[np.float32]:
        """Return (24, 24, 2): where each node of a sprite samples from, relative to itself, in units.

        The mean is zero, so that the object does not move.
        """
        total = np.zeros((_NODES, _NODES, 2), dtype=np.float32)
        for wave in self.waves:
            along = wave.vector[0] * _NODE[None] + wave.vector[1] * _NODE[:, None]
            total += np.sin(along + (wave.phase + wave.rate_rad_s * time_s))[..., None] * _pair(
                wave.amplitude
            )
        return np.asarray(total - total.mean(axis=(0, 1)))


RIGID: Final = Deformation()


def draw_deformation(rng: np.random.Generator) -> Deformation:
    """Draw 2 to 4 waves of a random total strength."""
    count, strength = int(rng.integers(2, 5)), float(rng.uniform())
    return Deformation(tuple(_draw_wave(strength / count, rng) for _ in range(count)))


def deform(sprite: Sprite, deformation: Deformation, time_s: float) -> Sprite:
    """Return the sprite as it is deformed at that time; hull and area are measured on the result."""
    if not deformation.waves:
        return sprite
    side = sprite.pixels.shape[0]
    unit_px = side / (2 * SPRITE_EXTENT)
    displacements = cv2.resize(deformation.displacements(time_s), (side, side))
    x, y = cv2.split(_pixel_grid(side) + unit_px * displacements)
    pixels = cv2.remap(sprite.pixels, x, y, cv2.INTER_LINEAR)
    alpha = cv2.extractChannel(pixels, 3)
    return replace(
        sprite,
        pixels=np.asarray(pixels, dtype=np.uint8),
        hull=_hull(np.asarray(alpha, dtype=np.uint8)),
        area=cv2.sumElems(alpha)[0] / 255 / unit_px**2,
    )


def _pair(vector: tuple[float, float]) -> NDArray[np.float32]:
    return np.array(vector, dtype=np.float32)


def _draw_wave(share: float, rng: np.random.Generator) -> Wave:
    """Draw a wave of `share` of the greatest strength."""
    wave_number, heading, direction = (
        rng.uniform(0.8, 2.6),
        rng.uniform(0, 2 * math.pi),
        rng.uniform(0, 2 * math.pi),
    )
    amplitude = share * min(_MAX_STRAIN / wave_number, _MAX_DISPLACEMENT)
    return Wave(
        vector=(wave_number * math.cos(heading), wave_number * math.sin(heading)),
        amplitude=(amplitude * math.cos(direction), amplitude * math.sin(direction)),
        rate_rad_s=float(rng.uniform(1.0, 9.0)),
        phase=float(rng.uniform(0, 2 * math.pi)),
    )


def _hull(alpha: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return (P, 2): the convex hull of the pixels that are more than half covered, in unit space."""
    _, solid = cv2.threshold(alpha, 127, 1, cv2.THRESH_BINARY)
    edges, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corners = cv2.convexHull(np.concatenate(edges))[:, 0]
    return np.asarray((corners + 0.5) * (2 * SPRITE_EXTENT / alpha.shape[0]) - SPRITE_EXTENT)


_NODE: Final = SPRITE_EXTENT * np.linspace(-1 + 1 / _NODES, 1 - 1 / _NODES, _NODES, dtype=np.float32)
"Coordinates of nodes, in the middle of their cells as `cv2.resize` assumes."


@lru_cache(maxsize=256)
def _pixel_grid(side: int) -> NDArray[np.float32]:
    """Return (S, S, 2): x, y of every pixel."""
    y, x = np.indices((side, side), dtype=np.float32)
    return np.stack([x, y], axis=-1)
