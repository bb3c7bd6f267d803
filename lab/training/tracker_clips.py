"""Clips for training the tracker: frames, a few objects, and where they truly are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lab.training.nano_config import SIDE_PX
from lab.training.world.holdout import VALIDATION_SEED
from lab.training.world.levels import NANO_LEVEL, Level
from lab.training.world.scenes import draw_clip

_STRIDES: Final = (1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 12.0)
"""Frames of 1/30 s from one sample to the next: the far ones can only be followed by looks."""
CLEAR: Final = 0.004
"Share of the picture a thing has to fill on the first frame."
_HIDDEN: Final = 0.3
"""A thing of which less than this share of its first area is left counts as hidden."""
_PASSED_OVER: Final = 0.85
"""Share of the clips in which nothing is wholly out of sight that are drawn in vain: so one object-frame in
eight is without its object. While it was one in 14, things gone went on being shown, often on look-alikes."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Clips and the truth about some of their objects."""

    frames: Tensor
    "(K, T, S, S, 3) uint8"
    masks: Tensor
    "(T, B, S, S) float32, 0 or 1; the objects of a clip stand together."


def in_glimpses(rng: np.random.Generator, length: int) -> tuple[float, list[int]]:
    """Stride, in frames of 1/30 s, and which of the drawn are taken.

    Far apart as often as not; between the first frame, the prompt's, and the next some may be missing. Long
    clips at a camera's pace taught no more in the same time: J&F 0.711 against 0.722 (6 held-out clips of
    4 s, too few to tell the two apart).
    """
    gap = int(rng.choice((0, 0, 0, 2, 4)))
    return float(rng.choice(_STRIDES)), [0, *range(gap + 1, gap + length)]


def draw_batch(seed: int, shape: tuple[int, int, int], level: Level = NANO_LEVEL) -> Batch:
    """Training clips of one seed; shape is (clips, objects of each, frames).

    Objects are clearly seen on the first frame; a thing may be taken twice where there are too few.
    """
    clips, objects, length = shape
    rng = np.random.default_rng(seed)
    frames: list[NDArray[np.uint8]] = []
    masks: list[NDArray[np.bool_]] = []
    while len(frames) < clips:
        stride, kept = in_glimpses(rng, length)
        number = int(rng.integers(VALIDATION_SEED))
        clip = draw_clip(number, frames=kept[-1] + 1, size=(SIDE_PX, SIDE_PX), stride=stride, level=level)
        drawn = clip.masks[kept]
        area = drawn.mean(axis=(2, 3))
        visible = np.flatnonzero(area[0] > CLEAR)
        if not visible.size:
            continue
        # Things that go out of sight and come back teach the most: clips with one are preferred, it is taken.
        least = area[1:, visible].min(axis=0) / area[0, visible]
        if least.min() > 0 and rng.random() < _PASSED_OVER:
            continue
        kinds = [clip.labels[thing].category for thing in visible]
        order = visible[teaching_order(least, kinds, rng)]
        frames.append(clip.frames[kept])
        masks.append(drawn[:, [order[k % order.size] for k in range(objects)]])
    stacked = np.concatenate(masks, axis=1)
    return Batch(torch.from_numpy(np.stack(frames)), torch.from_numpy(stacked).float())


def teaching_order(
    least: NDArray[np.floating], kinds: Sequence[str], rng: np.random.Generator
) -> NDArray[np.intp]:
    """Places of things, those that teach the most first: what goes, then what hides, then what is not alone.

    least: (N,) smallest share of its first area that is seen of each later on. Things that look alike lead a
    tracker astray: it lost small ones to them within 40 to 80 frames.
    """
    alike = np.array([kinds.count(kind) > 1 for kind in kinds])
    return np.lexsort((rng.random(len(kinds)), ~alike, least >= _HIDDEN, least > 0))


def coarse(mask: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """(B, S, S) masks as a grounder gives them: decided at stride 4, edges off by a smooth noise."""
    soft = functional.avg_pool2d(mask[:, None], 4)
    soft = functional.avg_pool2d(soft, 3, stride=1, padding=1)
    noise = torch.randn(mask.shape[0], 1, 8, 8, generator=generator)
    soft = soft + amount * functional.interpolate(noise, size=soft.shape[2:], mode="bicubic") * (soft > 0.02)
    return (functional.interpolate(soft, size=mask.shape[1:], mode="bilinear")[:, 0] > 0.5).float()
