"""Pieces that things are drawn from: closed outlines in unit space and the tone each is filled with.

Unit space: a thing fits the square [-1, 1] x [-1, 1], x to the right, y down, seen upright and facing right.
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
    """What a part is filled with; BODY is the thing's named colour and carries its texture."""

    BODY = auto()
    SHADE = auto()
    "The named colour, darker (lighter on a black thing)."
    TINT = auto()
    "The named colour, paler (greyer on a white thing)."
    DARK = auto()
    LIGHT = auto()
    SKIN = auto()
    WOOD = auto()
    LEAF = auto()
    GLASS = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Outlines of one filling, even-odd: an outline inside another is a hole."""

    outlines: tuple[Outline, ...]
    tone: Tone = Tone.BODY


def fill(*outlines: Outline, tone: Tone = Tone.BODY) -> Part:
    """A part of these outlines."""
    return Part(outlines, tone)


def polygon(*corners: Point) -> Outline:
    """Straight edges between the corners."""
    return np.array(corners, dtype=np.float64)


def ellipse(centre: Point, radii: Point, turn: float = 0.0) -> Outline:
    """An ellipse, turned clockwise by `turn` radians."""
    cos, sin = math.cos(turn), math.sin(turn)
    axes = np.array([[cos * radii[0], sin * radii[0]], [-sin * radii[1], cos * radii[1]]])
    return np.asarray(_ROUND @ axes + centre)


def disc(centre: Point, radius: float) -> Outline:
    """A circle."""
    return ellipse(centre, (radius, radius))


def slab(low: Point, high: Point, corner: float = 0.0) -> Outline:
    """An upright rectangle between two corners, rounded by radius `corner`."""
    if corner <= 0:
        return polygon(low, (high[0], low[1]), high, (low[0], high[1]))
    quarter = np.linspace(0, math.pi / 2, 7)
    around = [
        (high[0] - corner, high[1] - corner, 0.0),
        (low[0] + corner, high[1] - corner, math.pi / 2),
        (low[0] + corner, low[1] + corner, math.pi),
        (high[0] - corner, low[1] + corner, 1.5 * math.pi),
    ]
    arcs = [
        np.stack([x + corner * np.cos(quarter + turn), y + corner * np.sin(quarter + turn)], axis=1)
        for x, y, turn in around
    ]
    return np.concatenate(arcs)


_TURN = np.linspace(0, 2 * math.pi, 40, endpoint=False)
_ROUND = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def limb(start: Point, end: Point, thick: float, thin: float | None = None) -> Outline:
    """A stick with round ends, of radius `thick` at its start and `thin` at its end."""
    ends = np.concatenate([disc(start, thick), disc(end, thick if thin is None else thin)])
    hull: Outline = cv2.convexHull(ends.astype(np.float32))[:, 0].astype(np.float64)
    return hull


def band(centre: Point, radii: Point, angles: Point) -> Outline:
    """Part of a ring between an inner and an outer radius, from one angle to another (radians, clockwise
    from the right)."""
    sweep = np.linspace(*angles, 28)
    spoke = np.stack([np.cos(sweep), np.sin(sweep)], axis=1)
    return np.asarray(np.concatenate([radii[1] * spoke, radii[0] * spoke[::-1]]) + centre)


def smooth(*corners: Point) -> Outline:
    """A round outline near the corners: two rounds of corner cutting (Chaikin 1974)."""
    outline = polygon(*corners)
    for _ in range(2):
        after = np.roll(outline, -1, axis=0)
        outline = np.stack([0.75 * outline + 0.25 * after, 0.25 * outline + 0.75 * after], axis=1)
        outline = outline.reshape(-1, 2)
    return outline
