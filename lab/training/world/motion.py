"""Motion of objects: the pose of an object at every time, as a closed formula.

Lengths are image heights, x to the right, y down; the image spans [0, aspect) x [0, 1). Times are seconds.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

MOTIONS = ("static", "drift", "leave", "curve", "halt", "approach")
"""Kinds of motion: none; straight, bouncing within the image; straight, leaving the image and returning;
sinuous; moving and pausing by turns; growing or shrinking."""


@dataclass(frozen=True, slots=True)
class Pose:
    """The pose of an object at one time."""

    x: float
    y: float
    angle: float
    "Radians, clockwise."
    scale: float
    "Relative to the object's own size."
    faces_left: bool
    "Whether an object with a front is mirrored."


class Path(Protocol):
    """A pose for every time."""

    def pose_at(self, time_s: float) -> Pose:
        """Return the pose `time_s` seconds after the start."""
        ...


@dataclass(frozen=True, slots=True)
class Motion:
    """A random motion: a straight path with optional curvature, pauses, growth and rocking."""

    start: tuple[float, float]
    velocity: tuple[float, float]
    "Image heights per second."
    bounds: tuple[float, float, float, float]
    "x0, y0, x1, y1: the walls that the centre bounces from; outside the image they let the object leave it."
    sway: float
    "Amplitude of a sinusoid perpendicular to the velocity."
    move_s: float
    "The object moves for so long ..."
    pause_s: float
    "... then pauses for so long, and so on; 0 never pauses."
    phase_s: float
    "Where in this cycle it starts."
    growth: float
    "Amplitude of a sinusoid of the scale, relative."
    tilt: float
    "Mean angle, radians."
    rock: float
    "Amplitude of a sinusoid of the angle, radians."
    rate_rad_s: float
    "Angular frequency of sway, rocking and growth."

    def pose_at(self, time_s: float) -> Pose:
        """Return the pose `time_s` seconds after the start."""
        moved_s = self._moved_s(time_s + self.phase_s) - self._moved_s(self.phase_s)
        aside = self.sway * math.sin(self.rate_rad_s * moved_s)
        speed = math.hypot(*self.velocity) or 1.0
        x = self.start[0] - aside * self.velocity[1] / speed
        y = self.start[1] + aside * self.velocity[0] / speed
        x, returns = _bounce(x + self.velocity[0] * moved_s, self.bounds[0], self.bounds[2])
        y, _ = _bounce(y + self.velocity[1] * moved_s, self.bounds[1], self.bounds[3])
        angle = self.tilt + self.rock * math.sin(1.3 * self.rate_rad_s * moved_s)
        scale = 1 + self.growth * math.sin(self.rate_rad_s * moved_s)
        return Pose(x, y, angle, scale, (self.velocity[0] < 0) != returns)

    @property
    def greatest_scale(self) -> float:
        """The greatest scale at any time."""
        return 1 + abs(self.growth)

    def _moved_s(self, time_s: float) -> float:
        """Return the seconds of motion, pauses left out, within the first `time_s` seconds."""
        cycles, rest = divmod(time_s, self.move_s + self.pause_s)
        return cycles * self.move_s + min(rest, self.move_s)


class Waypoint(NamedTuple):
    """A place and the time at which a path passes it."""

    at_s: float
    x: float
    y: float
    faces_left: bool = False
    "From here to the next waypoint."


@dataclass(frozen=True, slots=True)
class WaypointPath:
    """A path through waypoints at even speed between them, repeated for ever: for clips that are looped."""

    waypoints: tuple[Waypoint, ...]
    """The first is at 0 s, the last at the period. Where the last is not at the first's place, or two are at
    the same time, the object jumps: place these outside of the image."""
    rock: float = 0.0
    "Amplitude of the angle, radians ..."
    stride: float = 0.2
    "... and how far the object moves in one cycle of it."

    def pose_at(self, time_s: float) -> Pose:
        """Return the pose `time_s` seconds after the start."""
        now_s = time_s % self.waypoints[-1].at_s
        legs = itertools.pairwise(self.waypoints)
        start, end = next(leg for leg in legs if now_s < leg[1].at_s)
        share = (now_s - start.at_s) / (end.at_s - start.at_s)
        x, y = start.x + share * (end.x - start.x), start.y + share * (end.y - start.y)
        return Pose(x, y, self.rock * math.sin(2 * math.pi * x / self.stride), 1.0, start.faces_left)


def draw_motion(
    kind: str,
    rng: np.random.Generator,
    *,
    start: tuple[float, float],
    size: float,
    aspect: float,
    tilt: float,
) -> Motion:
    """Draw a motion of a kind of `MOTIONS` for an object of diameter `size` that tilts by at most `tilt`."""
    margin = -0.75 * size if kind == "leave" else 0.4 * size
    speed = _speed(kind, rng)
    heading = rng.uniform(0, 2 * math.pi)
    halts = kind == "halt"
    growth = rng.choice((-0.45, 0.5, 0.8)) if kind == "approach" else rng.uniform(0, 0.12)
    return Motion(
        start=start,
        velocity=(float(speed * math.cos(heading)), float(speed * math.sin(heading))),
        bounds=(margin, margin, aspect - margin, 1 - margin),
        sway=float(rng.uniform(0.08, 0.25)) if kind == "curve" else 0.0,
        move_s=float(rng.uniform(0.5, 1.2)) if halts else 1.0,
        pause_s=float(rng.uniform(0.6, 1.5)) if halts else 0.0,
        phase_s=float(rng.uniform(0, 2.0)),
        growth=float(growth) if kind != "static" else 0.0,
        tilt=float(rng.uniform(-tilt, tilt)),
        rock=float(rng.uniform(0, min(tilt, 0.3))) if kind != "static" else 0.0,
        rate_rad_s=float(rng.uniform(0.5, 2.5)),
    )


def _speed(kind: str, rng: np.random.Generator) -> float:
    low, high = {
        "static": (0.0, 0.0),
        "drift": (0.0, 0.6),
        "leave": (0.5, 1.3),
        "curve": (0.2, 0.7),
        "halt": (0.35, 0.9),
        "approach": (0.0, 0.3),
    }[kind]
    return float(rng.uniform(low, high))


def _bounce(position: float, low: float, high: float) -> tuple[float, bool]:
    """Reflect a coordinate between two walls (a triangle wave); also whether it is on the way back."""
    span = max(high - low, 1e-6)
    phase = (position - low) % (2 * span)
    return (low + phase, False) if phase <= span else (low + 2 * span - phase, True)
