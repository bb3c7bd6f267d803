"""Objects that leave a clip or are fully occluded and reappear, and held-out clips with such an object."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lab.training.world.holdout import Split
from lab.training.world.levels import NANO_LEVEL, Level
from lab.training.world.scenes import Clip, draw_clip

FRAMES: Final = 120
"Per clip: 4 s at 30 frames per second."
MIN_SHARE: Final = 0.004
"Of the frame that a clearly visible object covers."
ABSENT_FRAMES: Final = 3
"Consecutive frames without a visible pixel that count as an absence."
FOUND_WITHIN: Final = 10
"Frames after an absence: the object must be clearly visible on one of them for a reappearance."


def clearly_visible(clip: Clip) -> list[int]:
    """Return the indices of the objects that are clearly visible on the first frame."""
    return [int(index) for index in np.flatnonzero(clip.masks[0].mean(axis=(1, 2)) > MIN_SHARE)]


def reappearances(truth: NDArray[np.bool_]) -> list[int]:
    """Return the frames on which an object, masks (T, H, W), is visible again after an absence."""
    share = truth.mean(axis=(1, 2))
    return [
        frame
        for frame in range(ABSENT_FRAMES + 1, len(share))
        if share[frame] > 0
        and not share[frame - ABSENT_FRAMES : frame].any()
        and share[frame : frame + FOUND_WITHIN].max() > MIN_SHARE
    ]


def draw_reappearance_clips(count: int, level: Level = NANO_LEVEL, frames: int = FRAMES) -> Iterator[Clip]:
    """Draw the first `count` held-out clips in which an object of the first frame reappears."""
    seeds = itertools.count(Split.UNSEEN.first_seed)
    clips = (draw_clip(seed, frames=frames, level=level) for seed in seeds)
    return itertools.islice((clip for clip in clips if _has_reappearance(clip)), count)


def _has_reappearance(clip: Clip) -> bool:
    return any(reappearances(clip.masks[:, index]) for index in clearly_visible(clip))
