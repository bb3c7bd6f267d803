"""The drawn demo scene: a street with two cars, a person, two umbrellas and a boulder, in an endless loop.

The cars meet, the red one occludes the blue one, and both leave the image and return. The person walks behind
an umbrella and the boulder, and stops. Every path's period divides `LOOP_S`, so that a clip of that length
can be looped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.training.scene_description import ObjectLabel
from lab.training.world.backgrounds import draw_background
from lab.training.world.camera import CLEAN
from lab.training.world.catalogue import DRAWINGS
from lab.training.world.colours import Rgb, sample_colour
from lab.training.world.holdout import HELD_OUT_SEED
from lab.training.world.motion import Waypoint, WaypointPath
from lab.training.world.parts import fill, rounded
from lab.training.world.rendering import RenderedFrame, Scene, SceneObject, render_frame
from lab.training.world.sprites import (
    SPRITE_EXTENT,
    Sprite,
    apply_shading,
    draw_sprite,
    relief_shading,
    side_shading,
)
from lab.training.world.textures import TEXTURES

LOOP_S: Final = 20.0
"After so long every object is where it was at the start."

_APPEARANCE_SEED: Final = HELD_OUT_SEED - 10
"Chosen for its striped umbrellas."
_BACKGROUND_SEED: Final = HELD_OUT_SEED - 28
"Chosen for its bright sky."

_RED_CAR, _BLUE_CAR = ObjectLabel("car", "red"), ObjectLabel("car", "blue")
_RED_UMBRELLA, _GREEN_UMBRELLA = ObjectLabel("umbrella", "red"), ObjectLabel("umbrella", "green")
_PERSON = ObjectLabel("person", "yellow")

EXPRESSIONS: Final[dict[str, tuple[ObjectLabel, ...]]] = {
    "the red car": (_RED_CAR,),
    "the car moving left": (_BLUE_CAR,),
    "the umbrella on the right": (_RED_UMBRELLA,),
    "all red things": (_RED_CAR, _RED_UMBRELLA),
    "the blue umbrella": (),
}
"""Expressions that the demo suggests, and their referents: by colour and category, motion, place, of several
objects, of none. Each has a distractor: another red object, another car, another umbrella."""


@dataclass(frozen=True, slots=True)
class _ObjectSpec:
    """An object of the scene."""

    label: ObjectLabel
    diameter: float
    "Image heights."
    texture: str
    path: WaypointPath


def _standing(x: float, y: float) -> WaypointPath:
    return WaypointPath((Waypoint(0, x, y), Waypoint(LOOP_S, x, y)))


def _crossing(start: float, end: float, first: float, y: float, period_s: float) -> WaypointPath:
    """Return a repeated path from x `start` to x `end`, both out of the image; at time 0 x is `first`."""
    arrives_s, left = period_s * (end - first) / (end - start), end < start
    places = ((0.0, first), (arrives_s, end), (arrives_s, start), (period_s, first))
    return WaypointPath(tuple(Waypoint(at_s, x, y, left) for at_s, x in places), rock=0.015, stride=0.3)


_WALK: Final = WaypointPath(
    (
        Waypoint(0.0, 0.70, 0.50),
        Waypoint(2.5, 1.46, 0.52),
        Waypoint(4.6, 1.46, 0.52, faces_left=True),
        Waypoint(7.5, 0.58, 0.50, faces_left=True),
        Waypoint(9.6, 0.58, 0.50),
        Waypoint(10.0, 0.70, 0.50),
    ),
    rock=0.07,
)
_BOULDER: Final = (0.38, (1.50, 0.66))
"Diameter and place."
_FAR: Final = (
    _ObjectSpec(_GREEN_UMBRELLA, 0.36, "stripes", _standing(0.30, 0.47)),
    _ObjectSpec(_PERSON, 0.40, "mottled", _WALK),
    _ObjectSpec(_RED_UMBRELLA, 0.38, "stripes", _standing(1.10, 0.50)),
)
_NEAR: Final = (
    _ObjectSpec(_BLUE_CAR, 0.36, "gradient", _crossing(2.20, -0.42, 1.35, 0.76, LOOP_S / 3)),
    _ObjectSpec(_RED_CAR, 0.40, "gradient", _crossing(-0.50, 2.28, 0.45, 0.85, LOOP_S / 2)),
)
"From back to front; the boulder is between the far and the near ones."


def render_demo(seconds: float, fps: float, size: tuple[int, int] = (360, 640)) -> Iterator[RenderedFrame]:
    """Render the demo frame by frame, without camera effects; `size` is (height, width) in pixels."""
    scene = _compose(size)
    for index in range(round(seconds * fps)):
        yield render_frame(scene, index / fps)


def demo_labels() -> tuple[ObjectLabel, ...]:
    """Return the labels of the demo's objects, in the order of its masks."""
    return tuple(spec.label for spec in (*_FAR, *_NEAR))


def _compose(size: tuple[int, int]) -> Scene:
    rng, background_rng = np.random.default_rng(_APPEARANCE_SEED), np.random.default_rng(_BACKGROUND_SEED)
    rgbs = {label: sample_colour(label.colour, 0.3, rng) for label in demo_labels()}
    background = draw_background(("landscape",), list(rgbs.values()), size, background_rng)
    far = [_object(spec, rgbs[spec.label], size[0], rng) for spec in _FAR]
    near = [_object(spec, rgbs[spec.label], size[0], rng) for spec in _NEAR]
    return Scene((*far, _boulder(size[0], rng), *near), background, size[1] / size[0], CLEAN, shadows=0.4)


def _object(spec: _ObjectSpec, rgb: Rgb, height: int, rng: np.random.Generator) -> SceneObject:
    drawing, side = DRAWINGS[spec.label.category], _side(spec.diameter, height)
    sprite = draw_sprite(drawing.draw(rng), rgb, TEXTURES[spec.texture](rgb, side, rng), rng)
    faces_heading = drawing.has_front
    return SceneObject(spec.label, _shaded(sprite), spec.path, spec.diameter, faces_heading=faces_heading)


def _boulder(height: int, rng: np.random.Generator) -> SceneObject:
    """Draw an occluder of a colour that no colour name fits."""
    diameter, place = _BOULDER
    rgb = (96.0, 104.0, 84.0)
    angles = np.arange(9) * 2 * math.pi / 9
    corners = rng.uniform(0.75, 1.1, size=9) * np.array([np.cos(angles), np.sin(angles)])
    outline = rounded(*((float(x), float(y)) for x, y in corners.T))
    surface = TEXTURES["mottled"](rgb, _side(diameter, height), rng)
    sprite = draw_sprite([fill(outline)], rgb, surface, rng)
    return SceneObject(None, _shaded(sprite), _standing(*place), diameter)


def _side(diameter: float, height: int) -> int:
    """Return the pixels along a sprite."""
    return math.ceil(diameter * height * SPRITE_EXTENT)


def _shaded(sprite: Sprite) -> Sprite:
    """Shade a sprite as the sun from the upper left does."""
    return apply_shading(sprite, side_shading((1.0, 0.86)) * relief_shading(sprite.alpha, (-0.7, -1.0), 0.4))
