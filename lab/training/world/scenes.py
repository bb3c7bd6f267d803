"""Clips of the drawn world: pictures with exact masks, the same for the same seed.

World units are picture heights: the picture spans [0, aspect) x [0, 1) and is squeezed to the size asked for,
as a camera's 16:9 picture is squeezed to a model's square input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.training.world.catalogue import Thing
from lab.training.world.composition import compose
from lab.training.world.levels import KNOWN, Level
from lab.training.world.rendering import Still, owned, shoot

SAMPLE_FPS: Final = 30.0


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

    def at(self, indices: Sequence[int]) -> Clip:
        """Some of the pictures; `step_s` remains that of all."""
        kept = list(indices)
        per_picture = ("frames", "masks", "whole_px", "covered_px", "centres", "boxes", "paths")
        return replace(self, **{name: getattr(self, name)[kept] for name in per_picture})

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
    things = tuple(actor.thing for actor in stage.actors if actor.thing is not None)
    moments = [index * stride / SAMPLE_FPS for index in range(frames)]
    stills = [shoot(stage, moment) for moment in moments]
    developed = [stage.camera.develop(s.picture, m, rng) for s, m in zip(stills, moments, strict=True)]
    return filmed(np.stack(developed), stills, things, step_s=stride / SAMPLE_FPS, seed=seed, level=level)


def filmed(
    frames: NDArray[np.uint8],
    stills: Sequence[Still],
    things: tuple[Thing, ...],
    *,
    step_s: float,
    seed: int,
    level: Level,
) -> Clip:
    """A clip of a camera's pictures (T, H, W, 3) and the truth of the painted moments they are of."""
    return Clip(
        frames=frames,
        masks=owned(np.stack([still.owners for still in stills]), stills[0].named),
        whole_px=np.stack([still.whole_px for still in stills]),
        covered_px=np.stack([still.covered_px for still in stills]),
        centres=np.stack([still.centres for still in stills]),
        boxes=np.stack([still.boxes for still in stills]),
        paths=np.stack([still.paths for still in stills]),
        things=things,
        step_s=step_s,
        seed=seed,
        level=level,
    )
