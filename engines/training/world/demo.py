"""The showcase of the bundled clip: things meet, hide each other, leave and come back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engines.training.world.camera import CLEAN
from engines.training.world.colours import sample
from engines.training.world.grounds import draw_ground
from engines.training.world.holdout import HELD_OUT_SEED
from engines.training.world.levels import KNOWN
from engines.training.world.motion import Motion
from engines.training.world.sprites import REACH, draw_sprite, from_side, lit
from engines.training.world.stage import Actor, Stage, Still, shoot
from engines.training.world.textures import plain
from engines.training.world.things import DRAWN, Thing

_CAST = (
    (Thing("square", "blue"), 0.40, (0.35, 0.60), (0.16, 0.06), 0.22),
    (Thing("star", "yellow"), 0.40, (0.75, 0.35), (-0.20, 0.11), 0.22),
    (Thing("triangle", "green"), 0.38, (0.60, 0.72), (0.10, -0.05), 0.22),
    (Thing("circle", "red"), 0.34, (0.15, 0.30), (0.34, 0.07), -0.34),
)
"""Thing, size, start (shares of the picture), velocity and how far it stays inside the picture's edge
(negative: it leaves); lengths in picture heights."""

_SQUARE, _STAR, _TRIANGLE, _CIRCLE = (thing for thing, *_ in _CAST)
PHRASES: dict[str, tuple[Thing, ...]] = {
    "the red circle": (_CIRCLE,),
    "the yellow star": (_STAR,),
    "the blue square": (_SQUARE,),
    "the green triangle": (_TRIANGLE,),
    "the white star": (),
    "the star": (_STAR,),
}
"What a visitor is offered to say, and what it means; there is no white star."


def draw_demo(seconds: float, fps: float, size: tuple[int, int] = (360, 640)) -> Iterator[Still]:
    """One picture after another, clean: a video codec will spoil them.

    `size` is (height, width) in pixels.
    """
    stage = _stage(size)
    for index in range(round(seconds * fps)):
        yield shoot(stage, index / fps)


def demo_things() -> tuple[Thing, ...]:
    """The things of the showcase, in the order of its masks."""
    return tuple(thing for thing, *_ in _CAST)


def _stage(size: tuple[int, int]) -> Stage:
    rng = np.random.default_rng(HELD_OUT_SEED - 1)
    aspect = size[1] / size[0]
    rgbs = {thing: sample(thing.colour, 0.0, rng) for thing in demo_things()}
    ground = draw_ground(KNOWN.grounds, list(rgbs.values()), size, rng)
    actors = []
    for thing, diameter, start, velocity, margin in _CAST:
        rgb = rgbs[thing]
        side = round(diameter * size[0] * REACH)
        sprite = draw_sprite(DRAWN[thing.kind].draw(rng), rgb, plain(rgb, side, rng), rng)
        sprite = lit(sprite, from_side((1.06, 0.88)))
        motion = Motion(
            start=(start[0] * aspect, start[1]),
            velocity=velocity,
            room=(margin, margin, aspect - margin, 1 - margin),
            sway=0.0,
            go_s=1.0,
            halt_s=0.0,
            phase_s=0.0,
            growth=0.06,
            tilt=0.0,
            swing=0.15,
            rate=1.1,
        )
        actors.append(Actor(thing, sprite, motion, diameter))
    return Stage(tuple(actors), ground, aspect, CLEAN)
