"""From a seed's chances to a stage: who plays, how they look, where they stand and how they go.

World units are picture heights: the picture spans [0, aspect) x [0, 1) and is squeezed to the size asked for,
as a camera's 16:9 picture is squeezed to a model's square input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.training.world.backgrounds import draw_ground
from lab.training.world.camera import draw_camera
from lab.training.world.casting import cast
from lab.training.world.catalogue import ANY_WAY, DRAWN, NAMELESS, Thing
from lab.training.world.colours import Rgb, blended, luma, sample, scaled
from lab.training.world.deformation import draw_bend
from lab.training.world.holdout import split_of
from lab.training.world.levels import Level
from lab.training.world.motion import Motion, draw_motion
from lab.training.world.parts import Part, fill, slab, smooth
from lab.training.world.rendering import Actor, Stage
from lab.training.world.sprites import REACH, Sprite, draw_sprite, from_side, lit, relief
from lab.training.world.textures import TEXTURES
from lab.training.world.unlabelled_objects import draw_stranger

_SPRITE_SIDE: Final = (40, 420)
"Least and most pixels along a sprite."


def compose(seed: int, level: Level, size: tuple[int, int], rng: np.random.Generator) -> Stage:
    """Everything about a scene but the moment; `size` is (height, width) in pixels."""
    height, width = size
    aspect = float(rng.choice((1.0, 4 / 3, 16 / 9))) if height == width else width / height
    things = cast(level, split_of(seed), rng)
    looks = {thing: _draw_look(thing, level, rng) for thing in things if thing != NAMELESS}
    ground = draw_ground(level.grounds, [look.rgb for look in looks.values()], size, rng)
    room = _Room(level, ground, aspect)
    places: list[tuple[float, float]] = []
    actors = []
    for thing in things:
        diameter = _diameter(level, len(things), rng)
        places.append(_free_place(rng, aspect, diameter, places))
        if thing == NAMELESS:
            actors.append(_stranger(diameter, places[-1], room, rng))
        else:
            actors.append(_actor(looks[thing], diameter, places[-1], room, rng))
    for _ in range(int(rng.integers(level.props + 1))):
        actors.insert(int(rng.integers(1, len(actors) + 1)), _prop(room, rng))
    camera = draw_camera(level.spoilage, rng)
    return Stage(tuple(actors), ground, aspect, camera, level.shadows * float(rng.uniform()))


@dataclass(frozen=True, slots=True, eq=False)
class _Room:
    """Where things are put."""

    level: Level
    ground: NDArray[np.uint8]
    aspect: float
    "Width over height of what the picture shows."

    def side(self, diameter: float) -> int:
        """Pixels along the sprite of something of that diameter (picture heights)."""
        return int(np.clip(math.ceil(diameter * self.ground.shape[0] * REACH), *_SPRITE_SIDE))

    def motion(
        self, start: tuple[float, float], size: float, tilt: float, rng: np.random.Generator
    ) -> Motion:
        """One of the level's motions, for something of that size that may tilt so far."""
        manner = self.level.motions[int(rng.integers(len(self.level.motions)))]
        most = min(tilt, self.level.tilt)
        return draw_motion(manner, rng, start=start, size=size, aspect=self.aspect, tilt=most)


@dataclass(frozen=True, slots=True)
class _Look:
    """The colour, the surface and the shape that a thing has in this scene, its look-alikes too."""

    thing: Thing
    level: Level
    rgb: Rgb
    texture: str
    edges: tuple[float, float]
    relief: float
    light: tuple[float, float]
    seed: int

    def sprite(self, side: int) -> Sprite:
        """Drawn from the same chances every time."""
        rng = np.random.default_rng(self.seed)
        parts = DRAWN[self.thing.kind].draw(rng)
        sprite = draw_sprite(parts, self.rgb, TEXTURES[self.texture](self.rgb, side, rng), rng)
        shade = from_side(self.edges)
        if self.relief:
            shade = shade * relief(sprite.cover, self.light, self.relief)
        return lit(sprite, shade)


def _draw_look(thing: Thing, level: Level, rng: np.random.Generator) -> _Look:
    return _Look(
        thing=thing,
        level=level,
        rgb=sample(thing.colour, level.spread, rng),
        texture=level.textures[int(rng.integers(len(level.textures)))],
        edges=(float(rng.uniform(0.82, 1.08)), float(rng.uniform(0.82, 1.08))),
        relief=level.relief * float(rng.uniform()),
        light=(float(rng.uniform(-1, 1)), -1.0),
        seed=int(rng.integers(1 << 32)),
    )


def _actor(
    look: _Look, diameter: float, place: tuple[float, float], room: _Room, rng: np.random.Generator
) -> Actor:
    kind = DRAWN[look.thing.kind]
    motion = room.motion(place, diameter, kind.tilt, rng)
    stretch = (1.0, 1.0)
    if room.level.relief:
        stretch = (float(rng.uniform(0.9, 1.1)), float(rng.uniform(0.9, 1.1)))
    sprite = look.sprite(room.side(diameter * math.sqrt(motion.greatest_scale)))
    return Actor(look.thing, sprite, motion, diameter, stretch, kind.faces)


def _stranger(diameter: float, place: tuple[float, float], room: _Room, rng: np.random.Generator) -> Actor:
    motion = room.motion(place, diameter, ANY_WAY, rng)
    sprite = draw_stranger(room.ground, room.side(diameter * math.sqrt(motion.greatest_scale)), rng)
    shade = from_side((float(rng.uniform(0.7, 1.15)), float(rng.uniform(0.7, 1.15))))
    depth, light = room.level.relief * float(rng.uniform()), (float(rng.uniform(-1, 1)), -1.0)
    sprite = lit(sprite, shade * relief(sprite.cover, light, depth))
    return Actor(NAMELESS, sprite, motion, diameter, bend=draw_bend(rng))


def _diameter(level: Level, count: int, rng: np.random.Generator) -> float:
    """Smaller where it is crowded."""
    low, high = level.sizes
    return float(rng.uniform(low, max(low, high * min(1.0, 2 / math.sqrt(count)))))


def _free_place(
    rng: np.random.Generator, aspect: float, size: float, taken: list[tuple[float, float]]
) -> tuple[float, float]:
    """A place inside the picture, the loneliest of a few tries."""
    margin = 0.45 * size
    wide, tall = aspect - 2 * margin, 1 - 2 * margin
    tries = [(margin + wide * x, margin + tall * y) for x, y in rng.random((6, 2)).tolist()]
    return max(tries, key=lambda place: min((math.dist(place, other) for other in taken), default=0.0))


def _prop(room: _Room, rng: np.random.Generator) -> Actor:
    """A board or a bush in the ground's own colour, standing anywhere."""
    size = float(rng.uniform(0.25, 0.6))
    step = max(room.ground.shape[0] // 16, 1)
    red, green, blue = (float(tone) for tone in room.ground[::step, ::step].reshape(-1, 3).mean(axis=0))
    rgb = _nameless(scaled((red, green, blue), float(rng.choice((0.6, 0.7, 1.3)))))
    parts = _board(rng) if rng.random() < 0.6 else _bush(rng)
    sprite = draw_sprite(parts, rgb, TEXTURES["mottled"](rgb, room.side(size), rng), rng)
    start = (float(rng.uniform(0, room.aspect)), float(rng.uniform(0.2, 1.0)))
    motion = draw_motion("still", rng, start=start, size=size, aspect=room.aspect, tilt=0.1)
    return Actor(None, sprite, motion, size)


def _nameless(rgb: Rgb) -> Rgb:
    """Nearly grey, and neither black nor white: nobody would call it by a colour."""
    grey = min(max(luma(rgb), 65.0), 175.0)
    return blended(scaled(rgb, grey / max(luma(rgb), 1.0)), (grey, grey, grey), 0.6)


def _board(rng: np.random.Generator) -> list[Part]:
    half = float(rng.uniform(0.15, 0.5))
    return [fill(slab((-half, -1.2), (half, 1.2), 0.04))]


def _bush(rng: np.random.Generator) -> list[Part]:
    angles = np.arange(9) * 2 * math.pi / 9
    corners = rng.uniform(0.6, 1.15, size=9) * np.array([np.cos(angles), np.sin(angles)])
    return [fill(smooth(*((float(x), float(y)) for x, y in corners.T)))]
