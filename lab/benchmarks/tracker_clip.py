"""The drawn clip of the tracker benchmark, with masks of any number of objects on its first frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.geometry import to_mask_prompt, to_square
from lab.training.world.scenes import draw_clip
from streaming.vocabulary import Logits, Mask, Pixels

SIZE: Final = (360, 640)
"(height, width) of the frames in pixels."
_FIRST_SEED: Final = 2 * 10**9
"First seed searched for a scene with enough objects."
_MIN_SHARE: Final = 0.01
"Of the frame that an object covers."
_MAX_OBJECTS: Final = 3
"Drawn objects that are used; further masks are cells of a grid."
_GRID: Final = 8
"Cells per row and column."


@dataclass(frozen=True, slots=True, eq=False)
class BenchClip:
    """Frames, and the objects to track."""

    frames: NDArray[np.uint8]
    "(T, H, W, 3) RGB"
    masks: NDArray[np.bool_]
    "(N, H, W), on the first frame."

    def logits(self) -> Logits:
        """Return the masks as a grounder's logits, (N, H, W) float32, -10 or 10."""
        return np.where(self.masks, 10.0, -10.0).astype(np.float32)

    def squares(self, side_px: int) -> list[Pixels]:
        """Return the frames resized to a model's input, (S, S, 3) uint8 each."""
        return [to_square(frame, side_px) for frame in self.frames]

    def prompts(self, side_px: int) -> NDArray[np.float32]:
        """Return the masks as a model's mask prompts, (N, S, S) float32, 0 or 1."""
        return np.stack([to_mask_prompt(logits, side_px) for logits in self.logits()])


def bench_clip(objects: int, frames: int) -> BenchClip:
    """Draw a clip, the same for the same arguments: up to 3 drawn objects, then cells of a grid as masks."""
    drawn = min(objects, _MAX_OBJECTS)
    for seed in range(_FIRST_SEED, _FIRST_SEED + 1000):
        first = draw_clip(seed, frames=1, size=SIZE).masks[0]
        visible = np.flatnonzero(first.mean(axis=(1, 2)) > _MIN_SHARE)
        if len(visible) >= drawn:
            clip = draw_clip(seed, frames=frames, size=SIZE)
            masks = [*clip.masks[0, visible[:drawn]], *_grid_masks(objects - drawn)]
            return BenchClip(clip.frames, np.stack(masks))
    raise AssertionError("one of a thousand drawn scenes has that many objects")


def _grid_masks(count: int) -> list[Mask]:
    height, width = SIZE[0] // _GRID, SIZE[1] // _GRID
    masks = []
    # In steps of 5, coprime to 64: masks that follow each other are far apart in the frame.
    for cell in (5 * k % _GRID**2 for k in range(count)):
        top, left = cell // _GRID * height, cell % _GRID * width
        mask = np.zeros(SIZE, np.bool_)
        mask[top : top + height, left : left + width] = True
        masks.append(mask)
    return masks
