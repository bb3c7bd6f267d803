"""Where a thing is at every moment: drifting, bouncing, swaying, halting, leaving and returning, coming near;
or on its round, from station to station.

Lengths in picture heights, times in seconds, the picture spans [0, aspect) x [0, 1).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

MOTIONS = ("still", "drift", "leave", "curve", "halt", "approach")


@dataclass(frozen=True, slots=True)
class Pose:
    """How a thing stands at a moment."""

    x: float
    y: float
    angle: float
    "Radians, clockwise."
    scale: float
    "Of its own size."
    goes_left: bool


class Path(Protocol):
    """Where something is, whenever that is asked."""

    def at(self, moment: float) -> Pose:
        """The pose `moment` seconds from the start."""
        ...


@dataclass(frozen=True, slots=True)
class Motion:
    """A path and what goes with it; every part but the start may be nothing."""

    start: tuple[float, float]
    velocity: tuple[float, float]
    room: tuple[float, float, float, float]
    "x0, y0, x1, y1: the walls that the centre bounces from; beyond the picture they let the thing leave."
    sway: float
    "How far the path bends to its side."
    go_s: float
    "It goes for so long ..."
    halt_s: float
    "... and stands for so long, again and again; 0 never stands."
    phase_s: float
    "Where in going and standing it begins."
    growth: float
    "It comes nearer by this share and goes again."
    tilt: float
    swing: float
    rate: float
    "Angular frequency of sway, swing and growth, rad/s."

    def at(self, moment: float) -> Pose:
        """The pose `moment` seconds from the start."""
        going = self._gone(moment + self.phase_s) - self._gone(self.phase_s)
        aside = self.sway * math.sin(self.rate * going)
        speed = math.hypot(*self.velocity) or 1.0
        x = self.start[0] - aside * self.velocity[1] / speed
        y = self.start[1] + aside * self.velocity[0] / speed
        x, returning = _bounce(x + self.velocity[0] * going, self.room[0], self.room[2])
        y, _ = _bounce(y + self.velocity[1] * going, self.room[1], self.room[3])
        angle = self.tilt + self.swing * math.sin(1.3 * self.rate * going)
        scale = 1 + self.growth * math.sin(self.rate * going)
        return Pose(x, y, angle, scale, (self.velocity[0] < 0) != returning)

    @property
    def greatest_scale(self) -> float:
        """Of all moments."""
        return 1 + abs(self.growth)

    def _gone(self, moment: float) -> float:
        """Seconds of going within the first `moment` seconds."""
        rounds, rest = divmod(moment, self.go_s + self.halt_s)
        return rounds * self.go_s + min(rest, self.go_s)


class Station(NamedTuple):
    """Where a round comes by."""

    at_s: float
    x: float
    y: float
    goes_left: bool = False
    "From here on."


@dataclass(frozen=True, slots=True)
class Round:
    """A path from station to station at even speed, then from the first again: for what is looped."""

    stations: tuple[Station, ...]
    """The first at 0 s. Where the last is another place, or two are at one time, the thing jumps: let it be
    out of sight."""
    swing: float = 0.0
    "How far it leans to either side as it goes, radians ..."
    stride: float = 0.2
    "... and how far it goes meanwhile, there and back."

    def at(self, moment: float) -> Pose:
        """The pose `moment` seconds from the start."""
        now_s = moment % self.stations[-1].at_s
        legs = itertools.pairwise(self.stations)
        start, end = next(leg for leg in legs if now_s < leg[1].at_s)
        gone = (now_s - start.at_s) / (end.at_s - start.at_s)
        x, y = start.x + gone * (end.x - start.x), start.y + gone * (end.y - start.y)
        return Pose(x, y, self.swing * math.sin(2 * math.pi * x / self.stride), 1.0, start.goes_left)


def draw_motion(
    manner: str,
    rng: np.random.Generator,
    *,
    start: tuple[float, float],
    size: float,
    aspect: float,
    tilt: float,
) -> Motion:
    """A motion of one of `MOTIONS` for a thing of that size that tilts up to `tilt` either way."""
    margin = -0.75 * size if manner == "leave" else 0.4 * size
    speed = _speed(manner, rng)
    heading = rng.uniform(0, 2 * math.pi)
    halts = manner == "halt"
    approach = rng.choice((-0.45, 0.5, 0.8)) if manner == "approach" else rng.uniform(0, 0.12)
    return Motion(
        start=start,
        velocity=(float(speed * math.cos(heading)), float(speed * math.sin(heading))),
        room=(margin, margin, aspect - margin, 1 - margin),
        sway=float(rng.uniform(0.08, 0.25)) if manner == "curve" else 0.0,
        go_s=float(rng.uniform(0.5, 1.2)) if halts else 1.0,
        halt_s=float(rng.uniform(0.6, 1.5)) if halts else 0.0,
        phase_s=float(rng.uniform(0, 2.0)),
        growth=float(approach) if manner != "still" else 0.0,
        tilt=float(rng.uniform(-tilt, tilt)),
        swing=float(rng.uniform(0, min(tilt, 0.3))) if manner != "still" else 0.0,
        rate=float(rng.uniform(0.5, 2.5)),
    )


def _speed(manner: str, rng: np.random.Generator) -> float:
    low, high = {
        "still": (0.0, 0.0),
        "drift": (0.0, 0.6),
        "leave": (0.5, 1.3),
        "curve": (0.2, 0.7),
        "halt": (0.35, 0.9),
        "approach": (0.0, 0.3),
    }[manner]
    return float(rng.uniform(low, high))


def _bounce(way: float, low: float, high: float) -> tuple[float, bool]:
    """Position of a ball between two walls, a triangle wave, and whether it is on its way back."""
    span = max(high - low, 1e-6)
    phase = (way - low) % (2 * span)
    return (low + phase, False) if phase <= span else (low + 2 * span - phase, True)
