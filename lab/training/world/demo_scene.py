"""The showcase of the bundled clip: a street in the look of the whole world, without an end.

Two cars meet, one hides the other, and both leave and come back; somebody strolls to and fro behind an
umbrella and a boulder, and stops. Every round takes a whole share of `LOOP_S`, so that a clip of that length
can be looped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.training.world.backgrounds import draw_ground
from lab.training.world.camera import CLEAN
from lab.training.world.catalogue import DRAWN, Thing
from lab.training.world.colours import Rgb, sample
from lab.training.world.holdout import HELD_OUT_SEED
from lab.training.world.motion import Round, Station
from lab.training.world.parts import fill, smooth
from lab.training.world.rendering import Actor, Stage, Still, shoot
from lab.training.world.sprites import REACH, Sprite, draw_sprite, from_side, lit, relief
from lab.training.world.textures import TEXTURES

LOOP_S: Final = 20.0
"After so long everything is where it was."

_LOOKS: Final = HELD_OUT_SEED - 10
"Seed of a scene with striped umbrellas ..."
_WEATHER: Final = HELD_OUT_SEED - 28
"... and of one on a bright day."

_RED_CAR, _BLUE_CAR = Thing("car", "red"), Thing("car", "blue")
_RED_UMBRELLA, _GREEN_UMBRELLA = Thing("umbrella", "red"), Thing("umbrella", "green")
_PERSON = Thing("person", "yellow")

PHRASES: Final[dict[str, tuple[Thing, ...]]] = {
    "the red car": (_RED_CAR,),
    "the car moving left": (_BLUE_CAR,),
    "the umbrella on the right": (_RED_UMBRELLA,),
    "all red things": (_RED_CAR, _RED_UMBRELLA),
    "the blue umbrella": (),
}
"""What a visitor is offered to say, and what it means whenever that is in sight: by colour and kind, by
motion, by place, of several, of nothing. Red alone is not enough for the first, nor is a car."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What somebody on the stage looks like and where they go."""

    thing: Thing
    diameter: float
    "Picture heights."
    texture: str
    path: Round


def _standing(x: float, y: float) -> Round:
    return Round((Station(0, x, y), Station(LOOP_S, x, y)))


def _crossing(start: float, end: float, first: float, y: float, period_s: float) -> Round:
    """From one x to another out of sight and from the first again, at `first` in the beginning."""
    arrives_s, left = period_s * (end - first) / (end - start), end < start
    places = ((0.0, first), (arrives_s, end), (arrives_s, start), (period_s, first))
    return Round(tuple(Station(at_s, x, y, left) for at_s, x in places), swing=0.015, stride=0.3)


_STROLL: Final = Round(
    (
        Station(0.0, 0.70, 0.50),
        Station(2.5, 1.46, 0.52),
        Station(4.6, 1.46, 0.52, goes_left=True),
        Station(7.5, 0.58, 0.50, goes_left=True),
        Station(9.6, 0.58, 0.50),
        Station(10.0, 0.70, 0.50),
    ),
    swing=0.07,
)
_BOULDER: Final = (0.38, (1.50, 0.66))
"Size and place."
_FAR: Final = (
    _Part(_GREEN_UMBRELLA, 0.36, "stripes", _standing(0.30, 0.47)),
    _Part(_PERSON, 0.40, "mottled", _STROLL),
    _Part(_RED_UMBRELLA, 0.38, "stripes", _standing(1.10, 0.50)),
)
_NEAR: Final = (
    _Part(_BLUE_CAR, 0.36, "gradient", _crossing(2.20, -0.42, 1.35, 0.76, LOOP_S / 3)),
    _Part(_RED_CAR, 0.40, "gradient", _crossing(-0.50, 2.28, 0.45, 0.85, LOOP_S / 2)),
)
"From back to front; a boulder lies between the far ones and the near ones."


def draw_demo(seconds: float, fps: float, size: tuple[int, int] = (360, 640)) -> Iterator[Still]:
    """One picture after another, clean: a video codec will spoil them.

    `size` is (height, width) in pixels.
    """
    stage = _stage(size)
    for index in range(round(seconds * fps)):
        yield shoot(stage, index / fps)


def demo_things() -> tuple[Thing, ...]:
    """The things of the showcase, in the order of its masks."""
    return tuple(part.thing for part in (*_FAR, *_NEAR))


def _stage(size: tuple[int, int]) -> Stage:
    rng, weather = np.random.default_rng(_LOOKS), np.random.default_rng(_WEATHER)
    rgbs = {thing: sample(thing.colour, 0.3, rng) for thing in demo_things()}
    ground = draw_ground(("landscape",), list(rgbs.values()), size, weather)
    far = [_actor(part, rgbs[part.thing], size[0], rng) for part in _FAR]
    near = [_actor(part, rgbs[part.thing], size[0], rng) for part in _NEAR]
    return Stage((*far, _boulder(size[0], rng), *near), ground, size[1] / size[0], CLEAN, shadows=0.4)


def _actor(part: _Part, rgb: Rgb, height: int, rng: np.random.Generator) -> Actor:
    kind, side = DRAWN[part.thing.kind], _side(part.diameter, height)
    sprite = draw_sprite(kind.draw(rng), rgb, TEXTURES[part.texture](rgb, side, rng), rng)
    return Actor(part.thing, _sunlit(sprite), part.path, part.diameter, turns=kind.faces)


def _boulder(height: int, rng: np.random.Generator) -> Actor:
    """Without a name, and of no colour that has one."""
    diameter, place = _BOULDER
    rgb = (96.0, 104.0, 84.0)
    angles = np.arange(9) * 2 * math.pi / 9
    corners = rng.uniform(0.75, 1.1, size=9) * np.array([np.cos(angles), np.sin(angles)])
    outline = smooth(*((float(x), float(y)) for x, y in corners.T))
    paint = TEXTURES["mottled"](rgb, _side(diameter, height), rng)
    return Actor(None, _sunlit(draw_sprite([fill(outline)], rgb, paint, rng)), _standing(*place), diameter)


def _side(diameter: float, height: int) -> int:
    """Pixels along a sprite."""
    return math.ceil(diameter * height * REACH)


def _sunlit(sprite: Sprite) -> Sprite:
    """From the upper left."""
    return lit(sprite, from_side((1.0, 0.86)) * relief(sprite.cover, (-0.7, -1.0), 0.4))
