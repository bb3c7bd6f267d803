"""How soft a thing is: waves that run through its drawing, so that it is of another shape at every moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.training.world.sprites import REACH, Sprite

_NODES: Final = 24
"Nodes along a sprite where a wave is worked out: a dozen or more to a wave's length."
_STEEPEST: Final = 0.8
"Most that all waves together may stretch or squeeze; from 1 on a body would fold over itself."
_FURTHEST: Final = 0.3
"Most that all waves together may move a point, in unit space: a sprite has room for that."


@dataclass(frozen=True, slots=True)
class Wave:
    """A wave that runs through unit space."""

    vector: tuple[float, float]
    "Where it runs, radians per unit."
    sway: tuple[float, float]
    "How far it moves what it passes, units."
    rate: float
    "Angular frequency, rad/s."
    phase: float


@dataclass(frozen=True, slots=True)
class Bend:
    """Everything that bends one body; no waves leave it stiff."""

    waves: tuple[Wave, ...] = ()

    def shifts(self, moment: float) -> NDArray[np.float32]:
        """(24, 24, 2): from where each node of a sprite takes what it shows, unit space; none on average."""
        total = np.zeros((_NODES, _NODES, 2), dtype=np.float32)
        for wave in self.waves:
            along = wave.vector[0] * _NODE[None] + wave.vector[1] * _NODE[:, None]
            total += np.sin(along + (wave.phase + wave.rate * moment))[..., None] * _pair(wave.sway)
        return np.asarray(total - total.mean(axis=(0, 1)))


STIFF: Final = Bend()


def draw_bend(rng: np.random.Generator) -> Bend:
    """Anything between a stone and a flag."""
    count, soft = int(rng.integers(2, 5)), float(rng.uniform())
    return Bend(tuple(_draw_wave(soft / count, rng) for _ in range(count)))


def bent(sprite: Sprite, bend: Bend, moment: float) -> Sprite:
    """The drawing as it is bent at that moment; its hull and its area are measured on it."""
    if not bend.waves:
        return sprite
    side = sprite.pixels.shape[0]
    unit_px = side / (2 * REACH)
    x, y = cv2.split(_places(side) + unit_px * cv2.resize(bend.shifts(moment), (side, side)))
    pixels = cv2.remap(sprite.pixels, x, y, cv2.INTER_LINEAR)
    cover = cv2.extractChannel(pixels, 3)
    return replace(
        sprite,
        pixels=np.asarray(pixels, dtype=np.uint8),
        hull=_hull(np.asarray(cover, dtype=np.uint8)),
        area=cv2.sumElems(cover)[0] / 255 / unit_px**2,
    )


def _pair(vector: tuple[float, float]) -> NDArray[np.float32]:
    return np.array(vector, dtype=np.float32)


def _draw_wave(share: float, rng: np.random.Generator) -> Wave:
    """`share`: of all that is allowed."""
    steepness, heading, aside = (
        rng.uniform(0.8, 2.6),
        rng.uniform(0, 2 * math.pi),
        rng.uniform(0, 2 * math.pi),
    )
    sway = share * min(_STEEPEST / steepness, _FURTHEST)
    return Wave(
        vector=(steepness * math.cos(heading), steepness * math.sin(heading)),
        sway=(sway * math.cos(aside), sway * math.sin(aside)),
        rate=float(rng.uniform(1.0, 9.0)),
        phase=float(rng.uniform(0, 2 * math.pi)),
    )


def _hull(cover: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(P, 2) in unit space, around what is covered at all."""
    _, solid = cv2.threshold(cover, 127, 1, cv2.THRESH_BINARY)
    edges, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corners = cv2.convexHull(np.concatenate(edges))[:, 0]
    return np.asarray((corners + 0.5) * (2 * REACH / cover.shape[0]) - REACH)


_NODE: Final = REACH * np.linspace(-1 + 1 / _NODES, 1 - 1 / _NODES, _NODES, dtype=np.float32)
"As `cv2.resize` has it: the middles of cells that fill the sprite."


@lru_cache(maxsize=256)
def _places(side: int) -> NDArray[np.float32]:
    """(S, S, 2): every pixel's own x, y."""
    y, x = np.indices((side, side), dtype=np.float32)
    return np.stack([x, y], axis=-1)
