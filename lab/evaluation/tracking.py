"""How well a tracker follows: drawn clips it has never seen, stepped as the service steps it.

Every thing clearly seen on the first frame is given there, by its true mask at the size a grounder's
mask has, and followed through the rest without another word.
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
from lab.evaluation.reappearance import WITHIN, clearly_seen, returns
from lab.training.world.scenes import Clip
from streaming.vocabulary import Mask

FOUND_J: Final = 0.5
"A thing is found again where its track's mask fits so well."


@dataclass(frozen=True, slots=True)
class TrackingScore:
    """Figures of things followed; shares are NaN where there was no case."""

    clips: int
    objects: int
    j_and_f: float
    """J&F as DAVIS 2017 means it: of every frame after the first, then of every thing alike. Where a thing is
    out of sight nothing fits, and any mask misses."""
    j_and_f_copy: float
    "The same of the first mask, kept: the floor."
    j: float
    "Mean J over frames on which the thing is seen, the given one left out."
    j_copy: float
    "The same of the first mask, kept."
    absences: int
    "Times a thing was wholly out of sight and came back (`returns`)."
    found_again: float
    f"Share of those after which the same track had J >= {FOUND_J} within {WITHIN} frames."
    silent: float
    "Share of frames without the thing on which its track had no mask."


def score_tracking(
    compiled: CompiledTracker, clips: Iterable[Clip], policy: TrackerPolicy = PRODUCT
) -> TrackingScore:
    """Follow things of these clips; `policy` as in `SamTracker`."""
    found = _Figures()
    for clip in clips:
        found.clips += 1
        things = clearly_seen(clip)
        if not things:
            continue
        tracker = SamTracker(compiled, capacity=len(things), policy=policy)
        drawn = list(propagate(tracker, clip.frames, clip.masks[0, things]))
        for place, thing in enumerate(things):
            found.judge(clip.masks[:, thing], [masks[place] for masks in drawn])
    return TrackingScore(
        clips=found.clips,
        objects=found.whole.count,
        j_and_f=found.whole.value,
        j_and_f_copy=found.whole_copy.value,
        j=found.j.value,
        j_copy=found.j_copy.value,
        absences=found.again.count,
        found_again=found.again.value,
        silent=found.silent.value,
    )


@dataclass(slots=True)
class _Figures:
    clips: int = 0
    whole: Mean = field(default_factory=Mean)
    whole_copy: Mean = field(default_factory=Mean)
    j: Mean = field(default_factory=Mean)
    j_copy: Mean = field(default_factory=Mean)
    again: Mean = field(default_factory=Mean)
    silent: Mean = field(default_factory=Mean)

    def judge(self, truth: NDArray[np.bool_], drawn: list[Mask | None]) -> None:
        """Take in a thing, masks (T, H, W), and its track's masks on all frames but the first."""
        nothing = np.zeros_like(truth[0])
        masks = [nothing if mask is None else mask for mask in drawn]
        self.whole.add(_davis(masks, truth[1:]))
        self.whole_copy.add(_davis([truth[0]] * len(masks), truth[1:]))
        js = [region_j(mask, true) for mask, true in zip(masks, truth[1:], strict=True)]
        for mask, j, true in zip(drawn, js, truth[1:], strict=True):
            if true.any():
                self.j.add(j)
                self.j_copy.add(region_j(truth[0], true))
            else:
                self.silent.add(float(mask is None))
        for back in returns(truth):
            self.again.add(float(max(js[back - 1 : back - 1 + WITHIN]) >= FOUND_J))


def _davis(masks: list[Mask], truth: NDArray[np.bool_]) -> float:
    """J&F over frames."""
    fits = Fits()
    for mask, true in zip(masks, truth, strict=True):
        fits.add(mask, true)
    return fits.fit.j_and_f
