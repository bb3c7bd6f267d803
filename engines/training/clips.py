"""Clips for training the tracker: frames, a few objects, and where they truly are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engines.training.nano import SIDE_PX
from engines.training.world.holdout import HELD_OUT_SEED
from engines.training.world.levels import KNOWN, Level
from engines.training.world.scenes import draw_clip

_STRIDES: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 12.0)
"""Frames of 1/30 s from one sample to the next: the far ones can only be followed by looks."""
_HIDDEN: Final = 0.3
"""A thing of which less than this share of its first area is left counts as hidden."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Clips and the truth about some of their objects."""

    frames: Tensor
    "(K, T, S, S, 3) uint8"
    masks: Tensor
    "(T, B, S, S) float32, 0 or 1; the objects of a clip stand together."


def draw_batch(seed: int, shape: tuple[int, int, int], level: Level = KNOWN) -> Batch:
    """Training clips of one seed; shape is (clips, objects of each, frames).

    Objects are clearly seen on the first frame; a thing may be taken twice where there are too few.
    """
    clips, objects, length = shape
    rng = np.random.default_rng(seed)
    frames: list[NDArray[np.uint8]] = []
    masks: list[NDArray[np.bool_]] = []
    while len(frames) < clips:
        pictures, drawn = _draw(rng, length, level)
        area = drawn.mean(axis=(2, 3))
        visible = np.flatnonzero(area[0] > 0.004)
        if not visible.size:
            continue
        # Things that hide, leave and come back teach the most: two clips in three have one, and it is taken.
        hides = area[1:, visible].min(axis=0) < _HIDDEN * area[0, visible]
        if not hides.any() and rng.random() < 0.7:
            continue
        order = visible[np.lexsort((rng.random(visible.size), ~hides))]
        frames.append(pictures)
        masks.append(drawn[:, [order[k % order.size] for k in range(objects)]])
    stacked = np.concatenate(masks, axis=1)
    return Batch(torch.from_numpy(np.stack(frames)), torch.from_numpy(stacked).float())


def _draw(rng: np.random.Generator, length: int, level: Level) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Frames and masks of one clip; between the first, the prompt's, and the next some may be missing."""
    stride, gap = float(rng.choice(_STRIDES)), int(rng.choice((0, 0, 0, 2, 4)))
    kept = [0, *range(gap + 1, gap + length)]
    number = int(rng.integers(HELD_OUT_SEED))
    clip = draw_clip(number, frames=length + gap, size=(SIDE_PX, SIDE_PX), stride=stride, level=level)
    return clip.frames[kept], clip.masks[kept]


def coarse(mask: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """(B, S, S) masks as a grounder gives them: decided at stride 4, edges off by a smooth noise."""
    soft = functional.avg_pool2d(mask[:, None], 4)
    soft = functional.avg_pool2d(soft, 3, stride=1, padding=1)
    noise = torch.randn(mask.shape[0], 1, 8, 8, generator=generator)
    soft = soft + amount * functional.interpolate(noise, size=soft.shape[2:], mode="bicubic") * (soft > 0.02)
    return (functional.interpolate(soft, size=mask.shape[1:], mode="bilinear")[:, 0] > 0.5).float()
