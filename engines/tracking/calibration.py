"""What a tracker's graphs are given as they run, on drawn clips: int8 takes its ranges from it.

Drawn pictures do for real films: on 39 pictures of six of them, masks of SAM 2's tiny encoder so calibrated
agree with float32's by 0.995, J 0.910 and 0.909. (With 12 drawn pictures it was 0.986 where 48 gave 0.992.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from typing import TYPE_CHECKING, Final

import numpy as np

from engines.backends.graph import Array, Program, Runner
from engines.geometry import to_square
from engines.tracking.memory_policy import AS_SAM2
from lab.training.world.holdout import CALIBRATION_SEED
from lab.training.world.scenes import draw_clip

if TYPE_CHECKING:
    from engines.tracking.checkpoints import TrackerWeights

Inputs = list[tuple[Array, ...]]

PICTURES: Final = 48
_CLIPS: Final = 4
_SIZE: Final = (360, 640)
"(height, width) of what is drawn."
_SEEN: Final = 0.01
"Least part of the first picture that what is followed covers."
_FRAMES: Final = 9


def picture_inputs(side_px: int) -> Inputs:
    """Of the picture encoder: PICTURES scenes."""
    drawn = (
        draw_clip(seed, frames=1, size=_SIZE).frames[0] for seed in islice(count(CALIBRATION_SEED), PICTURES)
    )
    return [(to_square(picture, side_px)[None],) for picture in drawn]


def track_inputs(weights: TrackerWeights) -> Inputs:
    """Of the graph that attends and decodes: one object in each of a few clips, followed in float32."""
    # Here: these make graphs, whose calibration this is.
    from engines.backends.openvino import OpenVinoBackend
    from engines.tracking.compiled import compile_tracker
    from engines.tracking.tracker import SamTracker
    from lab.evaluation.propagation import framed, given_by

    compiled = compile_tracker(weights, OpenVinoBackend(precision="float32"))
    kept: Inputs = []
    for seed, thing in islice(_scenes(), _CLIPS):
        clip, program = draw_clip(seed, frames=_FRAMES, size=_SIZE), _Recorded(compiled.track)
        tracker = SamTracker(
            replace(compiled, track=program), capacity=1, policy=replace(AS_SAM2, given_as_decoded=False)
        )
        given = given_by(np.where(clip.masks[0, thing], 10.0, -10.0).astype(np.float32)[None])
        tracker.step(framed(0, clip.frames[0]))
        tracker.pin(0)
        for index in range(1, _FRAMES):
            tracker.step(framed(index, clip.frames[index]), [given] if index == 1 else [])
        # Memories few, more, and all there.
        kept += program.calls[1::3]
    return kept


def _scenes() -> Iterator[tuple[int, int]]:
    """Seeds of scenes with something in sight, and which thing that is."""
    for seed in count(CALIBRATION_SEED):
        seen = draw_clip(seed, frames=1, size=_SIZE).masks[0].mean(axis=(1, 2))
        if seen.max(initial=0.0) > _SEEN:
            yield seed, int(seen.argmax())


class _Recorded:
    """A program of one runner whose inputs are kept."""

    def __init__(self, program: Program) -> None:
        self._run = program.runner()
        self.calls: Inputs = []

    def runner(self) -> Runner:
        return self

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        self.calls.append(tuple(array.copy() for array in inputs))
        return self._run(*inputs)
