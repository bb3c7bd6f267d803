"""Quality of a tracker on held-out drawn clips, stepped as the service steps it.

Every object clearly visible on the first frame is added by its ground-truth mask, at the size of a grounder's
mask, and tracked to the end of the clip without further prompts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.tracking.compiled import CompiledTracker
from engines.tracking.memory_policy import PRODUCT, TrackerPolicy
from engines.tracking.tracker import SamTracker
from lab.evaluation.metrics import Fits, Mean, region_j
from lab.evaluation.propagation import propagate
from lab.evaluation.reappearance import FOUND_WITHIN, clearly_visible, reappearances
from lab.training.world.scenes import Clip
from streaming.vocabulary import Mask

FOUND_J: Final = 0.5
"An object is found again if its track's mask has at least this J."


@dataclass(frozen=True, slots=True)
class TrackingScore:
    """Figures over tracked objects; shares are NaN without cases."""

    clips: int
    objects: int
    j_and_f: float
    """J&F as in DAVIS 2017: the mean over all frames but the first, then over objects. Where an object is not
    visible, an empty mask scores 1 and any other mask 0."""
    j_and_f_copy: float
    "The same of the first mask, copied to all frames: the floor."
    j: float
    "Mean J over the frames on which the object is visible, without the first."
    j_copy: float
    "The same of the first mask, copied."
    absences: int
    "Times that an object was entirely invisible and reappeared (`reappearances`)."
    found_again: float
    f"Share of those after which the same track had J >= {FOUND_J} within {FOUND_WITHIN} frames."
    silent: float
    "Share of frames without the object on which its track had no mask."


def score_tracking(
    compiled: CompiledTracker, clips: Iterable[Clip], policy: TrackerPolicy = PRODUCT
) -> TrackingScore:
    """Track the objects of these clips; policy: for `SamTracker`."""
    sums = _Sums()
    for clip in clips:
        sums.clips += 1
        objects = clearly_visible(clip)
        if not objects:
            continue
        tracker = SamTracker(compiled, capacity=len(objects), policy=policy)
        tracked = list(propagate(tracker, clip.frames, clip.masks[0, objects]))
        for row, index in enumerate(objects):
            sums.add(clip.masks[:, index], [masks[row] for masks in tracked])
    return TrackingScore(
        clips=sums.clips,
        objects=sums.j_and_f.count,
        j_and_f=sums.j_and_f.value,
        j_and_f_copy=sums.j_and_f_copy.value,
        j=sums.j.value,
        j_copy=sums.j_copy.value,
        absences=sums.found.count,
        found_again=sums.found.value,
        silent=sums.silent.value,
    )


@dataclass(slots=True)
class _Sums:
    """Sums over objects."""

    clips: int = 0
    j_and_f: Mean = field(default_factory=Mean)
    j_and_f_copy: Mean = field(default_factory=Mean)
    j: Mean = field(default_factory=Mean)
    j_copy: Mean = field(default_factory=Mean)
    found: Mean = field(default_factory=Mean)
    silent: Mean = field(default_factory=Mean)

    def add(self, truth: NDArray[np.bool_], tracked: list[Mask | None]) -> None:
        """Add an object; truth: (T, H, W); tracked: its track's masks on all frames but the first."""
        empty = np.zeros_like(truth[0])
        masks = [empty if mask is None else mask for mask in tracked]
        self.j_and_f.add(_j_and_f(masks, truth[1:]))
        self.j_and_f_copy.add(_j_and_f([truth[0]] * len(masks), truth[1:]))
        js = [region_j(mask, true) for mask, true in zip(masks, truth[1:], strict=True)]
        for mask, j, true in zip(tracked, js, truth[1:], strict=True):
            if true.any():
                self.j.add(j)
                self.j_copy.add(region_j(truth[0], true))
            else:
                self.silent.add(float(mask is None))
        for frame in reappearances(truth):
            self.found.add(float(max(js[frame - 1 : frame - 1 + FOUND_WITHIN]) >= FOUND_J))


def _j_and_f(masks: list[Mask], truth: NDArray[np.bool_]) -> float:
    fits = Fits()
    for mask, true in zip(masks, truth, strict=True):
        fits.add(mask, true)
    return fits.fit.j_and_f
