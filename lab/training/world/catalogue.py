"""The catalogue of the drawn world: every category, how its objects are drawn and how far they tilt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.training.scene_description import ObjectLabel
from lab.training.world import creatures, made_objects, shapes
from lab.training.world.parts import Part

UPRIGHT: Final = 0.26
"Greatest tilt of objects that have a top and a bottom, such as a person, radians."
ANY_TILT: Final = math.pi

UNLABELLED: Final = ObjectLabel("thing", "any")
"Of objects without a name (`unlabelled_objects`): a tracker follows them, no expression refers to them."


@dataclass(frozen=True, slots=True)
class Drawing:
    """How objects of one category are drawn."""

    draw: Callable[[np.random.Generator], list[Part]]
    max_tilt_rad: float = UPRIGHT
    "Greatest tilt either way."
    has_front: bool = False
    "Whether the front points in the direction of motion."


DRAWINGS: Final[dict[str, Drawing]] = {
    "circle": Drawing(shapes.circle, ANY_TILT),
    "square": Drawing(shapes.square, 0.3),
    "triangle": Drawing(shapes.triangle, 0.5),
    "star": Drawing(shapes.star, ANY_TILT),
    "ring": Drawing(shapes.ring, ANY_TILT),
    "heart": Drawing(shapes.heart, 0.5),
    "cross": Drawing(shapes.cross, ANY_TILT),
    "moon": Drawing(shapes.moon, ANY_TILT),
    "arrow": Drawing(shapes.arrow, ANY_TILT),
    "car": Drawing(made_objects.car, has_front=True),
    "person": Drawing(creatures.person, has_front=True),
    "tree": Drawing(creatures.tree),
    "cup": Drawing(made_objects.cup),
    "house": Drawing(made_objects.house),
    "fish": Drawing(creatures.fish, has_front=True),
    "cat": Drawing(creatures.cat),
    "key": Drawing(made_objects.key, ANY_TILT),
    "dog": Drawing(creatures.dog, has_front=True),
    "bird": Drawing(creatures.bird, has_front=True),
    "boat": Drawing(made_objects.boat, has_front=True),
    "plane": Drawing(made_objects.plane, ANY_TILT),
    "drone": Drawing(made_objects.drone, ANY_TILT),
    "rocket": Drawing(made_objects.rocket, 0.6),
    "flower": Drawing(creatures.flower),
    "mushroom": Drawing(creatures.mushroom),
    "carrot": Drawing(creatures.carrot, ANY_TILT),
    "bottle": Drawing(made_objects.bottle, 0.5),
    "chair": Drawing(made_objects.chair),
    "umbrella": Drawing(made_objects.umbrella, 0.5),
    "box": Drawing(made_objects.box),
    "lamp": Drawing(made_objects.lamp),
}
"By category."
CATEGORIES: Final = tuple(DRAWINGS)
"""Names of categories in the order in which curriculum levels add them. Trained weights number categories by
this order: append, do not insert."""
SHAPES: Final = ("circle", "square", "triangle", "star", "ring", "heart", "cross", "moon", "arrow")
"Categories that may be called a shape."
