"""Things that go wholly out of sight and come back, and held-out clips in which one does."""

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
"Of a clip, 30 to the second."
CLEAR: Final = 0.004
"A thing is clearly seen from this share of the picture on."
AWAY: Final = 3
"Frames wholly out of sight that count as an absence."
WITHIN: Final = 10
"Frames after its return in which a thing must be clearly seen: else it only peeped out."


def clearly_seen(clip: Clip) -> list[int]:
    """Things that are clearly seen on the first frame: those that are given to a tracker."""
    return [int(index) for index in np.flatnonzero(clip.masks[0].mean(axis=(1, 2)) > CLEAR)]


def returns(truth: NDArray[np.bool_]) -> list[int]:
    """Frames on which a thing, masks (T, H, W), is seen again after an absence."""
    area = truth.mean(axis=(1, 2))
    return [
        frame
        for frame in range(AWAY + 1, len(area))
        if area[frame] > 0
        and not area[frame - AWAY : frame].any()
        and area[frame : frame + WITHIN].max() > CLEAR
    ]


def draw_reappearance_clips(count: int, level: Level = NANO_LEVEL, frames: int = FRAMES) -> Iterator[Clip]:
    """The first `count` unseen clips in which a thing clearly seen at the beginning leaves and comes back."""
    seeds = itertools.count(Split.UNSEEN.first_seed)
    clips = (draw_clip(seed, frames=frames, level=level) for seed in seeds)
    return itertools.islice((clip for clip in clips if _has_return(clip)), count)


def _has_return(clip: Clip) -> bool:
    return any(returns(clip.masks[:, thing]) for thing in clearly_seen(clip))
