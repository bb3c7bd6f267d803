"""Parts that objects are drawn from: closed outlines in unit space, each filled with a tone.

Unit space: an object fits the square [-1, 1] x [-1, 1], x to the right, y down; upright, facing right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto

import cv2
import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.float64]
"(P, 2) corners x, y of a closed polygon."
Point = tuple[float, float]


class Tone(Enum):
    """The fill of a part; BODY is the object's colour with its texture."""

    BODY = auto()
    SHADE = auto()
    "The object's colour, darker (on black, lighter)."
    TINT = auto()
    "The object's colour, paler (on white, greyer)."
    DARK = auto()
    LIGHT = auto()
    SKIN = auto()
    WOOD = auto()
    LEAF = auto()
    GLASS = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Outlines filled with one tone by the even-odd rule: an outline inside another is a hole."""

    outlines: tuple[Outline, ...]
    tone: Tone = Tone.BODY


def fill(*outlines: Outline, tone: Tone = Tone.BODY) -> Part:
    """Make a part of outlines."""
    return Part(outlines, tone)


def polygon(*corners: Point) -> Outline:
    """Connect the corners by straight edges."""
    return np.array(corners, dtype=np.float64)


def ellipse(centre: Point, radii: Point, turn: float = 0.0) -> Outline:
    """Return an ellipse, rotated clockwise by `turn` radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    axes = np.array([[cos * radii[0], sin * radii[0]], [-sin * radii[1], cos * radii[1]]])
    return np.asarray(_ROUND @ axes + np.array(centre))


def disc(centre: Point, radius: float) -> Outline:
    """Return a circle."""
    return np.asarray(radius * _ROUND + np.array(centre))


def rectangle(low: Point, high: Point, corner: float = 0.0) -> Outline:
    """Return an axis-aligned rectangle between two corners, rounded with radius `corner`."""
    if corner <= 0:
        return polygon(low, (high[0], low[1]), high, (low[0], high[1]))
    x0, y0, x1, y1 = low[0] + corner, low[1] + corner, high[0] - corner, high[1] - corner
    centres = np.array([[(x1, y1)], [(x0, y1)], [(x0, y0)], [(x1, y0)]])
    return np.asarray((centres + corner * _QUARTERS).reshape(-1, 2))


def _on_circle(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (..., 2): points on the unit circle."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


_ROUND = _on_circle(np.linspace(0, 2 * math.pi, 40, endpoint=False))
_QUARTERS = _on_circle(np.linspace(0, math.pi / 2, 7) + np.arange(4)[:, None] * math.pi / 2)
"(4, 7, 2): quarter circles, of the lower right corner first, then clockwise."


def capsule(start: Point, end: Point, thick: float, thin: float | None = None) -> Outline:
    """Return the hull of two circles, of radius `thick` at the start and `thin` at the end."""
    ends = np.concatenate([disc(start, thick), disc(end, thick if thin is None else thin)])
    hull: Outline = cv2.convexHull(ends.astype(np.float32))[:, 0].astype(np.float64)
    return hull


def ring_sector(centre: Point, radii: Point, angles: Point) -> Outline:
    """Return a sector of a ring between an inner and an outer radius.

    From one angle to another, radians, clockwise from the right.
    """
    spoke = _on_circle(np.linspace(*angles, 28))
    return np.asarray(np.concatenate([radii[1] * spoke, radii[0] * spoke[::-1]]) + np.array(centre))


def rounded(*corners: Point) -> Outline:
    """Round the polygon of these corners by two rounds of corner cutting (Chaikin 1974)."""
    outline = polygon(*corners)
    for _ in range(2):
        after = np.concatenate([outline[1:], outline[:1]])
        cut = np.stack([0.75 * outline + 0.25 * after, 0.25 * outline + 0.75 * after], axis=1)
        outline = cut.reshape(-1, 2)
    return outline
