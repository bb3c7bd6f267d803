"""The clip that everybody follows in the bench: drawn, with as many things given as are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.geometry import to_mask_prompt, to_square
from lab.training.world.scenes import draw_clip
from streaming.vocabulary import Logits, Mask, Pixels

SIZE: Final = (360, 640)
"(height, width) of the source."
_SCENE: Final = 2 * 10**9
"First seed searched for a scene with enough things."
_SEEN: Final = 0.01
"Least part of the picture that a thing covers."
_GRID: Final = 8
"Squares of the picture, across and down, that are given beyond the things in it."


@dataclass(frozen=True, slots=True, eq=False)
class BenchClip:
    """Pictures, and what is to be followed in them."""

    frames: NDArray[np.uint8]
    "(T, H, W, 3) RGB"
    given: NDArray[np.bool_]
    "(N, H, W), of the first picture."

    def logits(self) -> Logits:
        """(N, H, W): what is given, as a grounder says it."""
        return np.where(self.given, 10.0, -10.0).astype(np.float32)

    def squares(self, side_px: int) -> list[Pixels]:
        """The pictures as a model looks at them."""
        return [to_square(frame, side_px) for frame in self.frames]

    def prompts(self, side_px: int) -> NDArray[np.float32]:
        """(N, S, S): what is given, as a model is told it, 0 or 1."""
        return np.stack([to_mask_prompt(one, side_px) for one in self.logits()])


def bench_clip(objects: int, frames: int) -> BenchClip:
    """The same for the same arguments. Things as far as they go (3), then squares of the picture."""
    things = min(objects, 3)
    for seed in range(_SCENE, _SCENE + 1000):
        first = draw_clip(seed, frames=1, size=SIZE).masks[0]
        seen = np.flatnonzero(first.mean(axis=(1, 2)) > _SEEN)
        if len(seen) >= things:
            clip = draw_clip(seed, frames=frames, size=SIZE)
            given = [*clip.masks[0, seen[:things]], *_squares(objects - things)]
            return BenchClip(clip.frames, np.stack(given))
    raise AssertionError("a thousand drawn scenes hold one with that many things")


def _squares(count: int) -> list[Mask]:
    height, width = SIZE[0] // _GRID, SIZE[1] // _GRID
    squares = []
    # By 5, which 64 has no part of: neighbours in the list are far from each other in the picture.
    for place in (5 * k % _GRID**2 for k in range(count)):
        top, left = place // _GRID * height, place % _GRID * width
        mask = np.zeros(SIZE, np.bool_)
        mask[top : top + height, left : left + width] = True
        squares.append(mask)
    return squares
