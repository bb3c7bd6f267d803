"""Clips of the drawn world: pictures with exact masks, the same for the same seed.

World units are picture heights: the picture spans [0, aspect) x [0, 1) and is squeezed to the size asked for,
as a camera's 16:9 picture is squeezed to a model's square input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.training.world.camera import draw_camera
from engines.training.world.casting import cast
from engines.training.world.colours import Rgb, sample, scaled
from engines.training.world.grounds import draw_ground
from engines.training.world.holdout import split_of
from engines.training.world.levels import KNOWN, Level
from engines.training.world.motion import draw_motion
from engines.training.world.parts import Part, fill, slab, smooth
from engines.training.world.sprites import REACH, Sprite, draw_sprite, embossed, lit_from_side
from engines.training.world.stage import Actor, Stage, shoot
from engines.training.world.textures import TEXTURES
from engines.training.world.things import DRAWN, Thing

SAMPLE_FPS: Final = 30.0
_SPRITE_SIDE: Final = (40, 420)
"Least and most pixels along a sprite."


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """T consecutive pictures of N things and the truth about them."""

    frames: NDArray[np.uint8]
    "(T, H, W, 3) RGB."
    masks: NDArray[np.bool_]
    "(T, N, H, W): the visible part of each thing; no pixel belongs to two."
    whole_px: NDArray[np.float32]
    "(T, N): area of each thing's whole shape in pixels, hidden and out-of-picture parts included."
    covered_px: NDArray[np.float32]
    "(T, N, N): pixels of the first thing that the second, in front of it, took from view."
    centres: NDArray[np.float32]
    "(T, N, 2): x, y of the whole shape's middle in pixels, inside the picture or out of it."
    boxes: NDArray[np.float32]
    "(T, N, 4): x0, y0, x1, y1 around the whole shape in pixels."
    paths: NDArray[np.float32]
    "(T, N, 2): where things are in the world, in pixels of a camera that stands still."
    things: tuple[Thing, ...]
    "A later one is in front of an earlier one."
    step_s: float
    "From one picture to the next."
    seed: int
    level: Level

    def only(self, indices: Sequence[int]) -> Clip:
        """The same pictures, the truth about some things alone."""
        kept = list(indices)
        return replace(
            self,
            masks=self.masks[:, kept],
            whole_px=self.whole_px[:, kept],
            covered_px=self.covered_px[:, kept][:, :, kept],
            centres=self.centres[:, kept],
            boxes=self.boxes[:, kept],
            paths=self.paths[:, kept],
            things=tuple(self.things[index] for index in kept),
        )


def draw_clip(
    seed: int, *, frames: int, size: tuple[int, int] = (256, 256), stride: float = 1.0, level: Level = KNOWN
) -> Clip:
    """Draw a clip, the same for the same arguments; a longer one begins like a shorter one.

    `size` is (height, width) in pixels, neither above 1088; a square picture is squeezed from 1:1, 4:3 or
    16:9. Consecutive frames are `stride / SAMPLE_FPS` seconds apart. The seed also says whether this is a
    scene for training (`holdout.Split`). Raises ValueError for a seed of no set.
    """
    rng = np.random.default_rng(seed)
    stage = compose(seed, level, size, rng)
    moments = [index * stride / SAMPLE_FPS for index in range(frames)]
    stills = [shoot(stage, moment) for moment in moments]
    developed = [stage.camera.develop(s.picture, m, rng) for s, m in zip(stills, moments, strict=True)]
    return Clip(
        frames=np.stack(developed),
        masks=np.stack([still.masks for still in stills]),
        whole_px=np.stack([still.whole_px for still in stills]),
        covered_px=np.stack([still.covered_px for still in stills]),
        centres=np.stack([still.centres for still in stills]),
        boxes=np.stack([still.boxes for still in stills]),
        paths=np.stack([still.paths for still in stills]),
        things=tuple(actor.thing for actor in stage.actors if actor.thing is not None),
        step_s=stride / SAMPLE_FPS,
        seed=seed,
        level=level,
    )


def compose(seed: int, level: Level, size: tuple[int, int], rng: np.random.Generator) -> Stage:
    """Everything about a scene but the moment."""
    height, width = size
    aspect = float(rng.choice((1.0, 4 / 3, 16 / 9))) if height == width else width / height
    things = cast(level, split_of(seed), rng)
    looks = {thing: _Look(thing, level, rng) for thing in things}
    ground = draw_ground(level.grounds, [look.rgb for look in looks.values()], size, rng)
    places: list[tuple[float, float]] = []
    actors = []
    for thing in things:
        diameter = _diameter(level, len(things), rng)
        places.append(_free_place(rng, aspect, diameter, places))
        actors.append(_actor(looks[thing], diameter, places[-1], aspect, height, level, rng))
    for _ in range(int(rng.integers(level.props + 1))):
        prop = _prop(ground, aspect, height, rng)
        actors.insert(int(rng.integers(1, len(actors) + 1)), prop)
    return Stage(tuple(actors), ground, aspect, draw_camera(level.spoilage, rng), level.shadows * rng.uniform())


class _Look:
    """The colour and the surface that a thing has in this scene, look-alikes too."""

    def __init__(self, thing: Thing, level: Level, rng: np.random.Generator) -> None:
        self.thing = thing
        self.rgb: Rgb = sample(thing.colour, level.spread, rng)
        self._texture = TEXTURES[level.textures[int(rng.integers(len(level.textures)))]]
        self._edges = (float(rng.uniform(0.82, 1.08)), float(rng.uniform(0.82, 1.08)))
        self._relief = level.relief * float(rng.uniform())
        self._light = (float(rng.uniform(-1, 1)), -1.0)
        self._seed = int(rng.integers(1 << 32))

    def sprite(self, side: int) -> Sprite:
        """Drawn anew from the same chances: look-alikes have the same shape too."""
        rng = np.random.default_rng(self._seed)
        parts = DRAWN[self.thing.kind].draw(rng)
        sprite = draw_sprite(parts, self.rgb, self._texture(self.rgb, side, rng), rng)
        if self._relief:
            sprite = embossed(sprite, self._light, self._relief)
        return lit_from_side(sprite, self._edges)


def _actor(
    look: _Look,
    diameter: float,
    place: tuple[float, float],
    aspect: float,
    height: int,
    level: Level,
    rng: np.random.Generator,
) -> Actor:
    kind = DRAWN[look.thing.kind]
    manner = level.motions[int(rng.integers(len(level.motions)))]
    tilt = min(kind.tilt, level.tilt) if level.tilt > 0.3 else level.tilt
    motion = draw_motion(manner, rng, start=place, size=diameter, aspect=aspect, tilt=tilt)
    stretch = (float(rng.uniform(0.9, 1.1)), float(rng.uniform(0.9, 1.1))) if level.relief else (1.0, 1.0)
    sprite = look.sprite(_side(diameter * height * math.sqrt(motion.greatest_scale)))
    return Actor(look.thing, sprite, motion, diameter, stretch, kind.faces)


def _side(diameter_px: float) -> int:
    return int(np.clip(math.ceil(diameter_px * REACH), *_SPRITE_SIDE))


def _diameter(level: Level, count: int, rng: np.random.Generator) -> float:
    """Smaller where it is crowded."""
    low, high = level.sizes
    return float(rng.uniform(low, max(low, high * min(1.0, 2 / math.sqrt(count)))))


def _free_place(
    rng: np.random.Generator, aspect: float, size: float, taken: list[tuple[float, float]]
) -> tuple[float, float]:
    """A place inside the picture, the loneliest of a few tries."""
    margin = 0.45 * size
    tries = rng.uniform((margin, margin), (aspect - margin, 1 - margin), size=(6, 2))
    loneliness = [min((math.dist(place, other) for other in taken), default=0.0) for place in tries]
    best = tries[int(np.argmax(loneliness))]
    return float(best[0]), float(best[1])


def _prop(ground: NDArray[np.uint8], aspect: float, height: int, rng: np.random.Generator) -> Actor:
    """A board or a bush in the ground's own colour, standing anywhere."""
    size = float(rng.uniform(0.25, 0.6))
    tone = ground[:: max(height // 16, 1), :: max(height // 16, 1)].reshape(-1, 3).mean(axis=0)
    rgb = scaled((float(tone[0]), float(tone[1]), float(tone[2])), float(rng.choice((0.6, 0.7, 1.3))))
    paint = TEXTURES["mottled"](rgb, _side(size * height), rng)
    sprite = draw_sprite(_board(rng) if rng.random() < 0.6 else _bush(rng), rgb, paint, rng)
    start = (float(rng.uniform(0, aspect)), float(rng.uniform(0.2, 1.0)))
    return Actor(None, sprite, draw_motion("still", rng, start=start, size=size, aspect=aspect, tilt=0.1), size)


def _board(rng: np.random.Generator) -> list[Part]:
    half = float(rng.uniform(0.15, 0.5))
    return [fill(slab((-half, -1.2), (half, 1.2), 0.04))]


def _bush(rng: np.random.Generator) -> list[Part]:
    angles = np.arange(9) * 2 * math.pi / 9
    radius = rng.uniform(0.6, 1.15, size=9)
    return [fill(smooth(*((float(r * math.cos(a)), float(r * math.sin(a))) for r, a in zip(radius, angles, strict=True))))]
