"""Everything that has a name: how it is drawn and how it may stand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from lab.training.world import creatures, made_objects, shapes
from lab.training.world.parts import Part

UPRIGHT: Final = 0.26
"Tilt of a thing that has a top and a bottom, radians: a person leans, it does not stand on its head."
ANY_WAY: Final = math.pi


class Thing(NamedTuple):
    """What a thing is; where it is, is in the masks."""

    kind: str
    colour: str


NAMELESS: Final = Thing("thing", "any")
"What nobody has a name for (`strangers`): to be followed, not to be spoken of."


@dataclass(frozen=True, slots=True)
class Kind:
    """How things of one name are drawn."""

    draw: Callable[[np.random.Generator], list[Part]]
    tilt: float = UPRIGHT
    "Greatest tilt either way, radians."
    faces: bool = False
    "Whether it has a front, which goes first where the thing goes."


DRAWN: Final[dict[str, Kind]] = {
    "circle": Kind(shapes.circle, ANY_WAY),
    "square": Kind(shapes.square, 0.3),
    "triangle": Kind(shapes.triangle, 0.5),
    "star": Kind(shapes.star, ANY_WAY),
    "ring": Kind(shapes.ring, ANY_WAY),
    "heart": Kind(shapes.heart, 0.5),
    "cross": Kind(shapes.cross, ANY_WAY),
    "moon": Kind(shapes.moon, ANY_WAY),
    "arrow": Kind(shapes.arrow, ANY_WAY),
    "car": Kind(made_objects.car, faces=True),
    "person": Kind(creatures.person, faces=True),
    "tree": Kind(creatures.tree),
    "cup": Kind(made_objects.cup),
    "house": Kind(made_objects.house),
    "fish": Kind(creatures.fish, faces=True),
    "cat": Kind(creatures.cat),
    "key": Kind(made_objects.key, ANY_WAY),
    "dog": Kind(creatures.dog, faces=True),
    "bird": Kind(creatures.bird, faces=True),
    "boat": Kind(made_objects.boat, faces=True),
    "plane": Kind(made_objects.plane, ANY_WAY),
    "drone": Kind(made_objects.drone, ANY_WAY),
    "rocket": Kind(made_objects.rocket, 0.6),
    "flower": Kind(creatures.flower),
    "mushroom": Kind(creatures.mushroom),
    "carrot": Kind(creatures.carrot, ANY_WAY),
    "bottle": Kind(made_objects.bottle, 0.5),
    "chair": Kind(made_objects.chair),
    "umbrella": Kind(made_objects.umbrella, 0.5),
    "box": Kind(made_objects.box),
    "lamp": Kind(made_objects.lamp),
}
"By name."
KINDS: Final = tuple(DRAWN)
"In the order in which levels bring them in."
SHAPES: Final = ("circle", "square", "triangle", "star", "ring", "heart", "cross", "moon", "arrow")
"Those that may be called a shape."
