"""Who is timed in the bench, and our side of it.

Everybody is given the same things on the first picture and then follows them, a picture at a time. What is
timed begins with the source picture (`sam2`: with the model's input) and ends with masks of its size, ours as
run lengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from engines.backends.graph import Precision
from engines.masks import decode_mask
from engines.tracking.compiled import CompiledTracker
from engines.tracking.memory_policy import TrackerPolicy
from engines.tracking.tracker import SamTracker
from lab.benchmarks.timing import Stopwatch, Timed
from lab.benchmarks.tracker_clip import BenchClip
from lab.evaluation.propagation import framed, given_by
from streaming.vocabulary import Mask, Track

PARTS: Final = ("encode", "track", "remember")
"""Of a frame: the picture encoder; memory attention and mask decoder; memory encoder."""


class Run(Protocol):
    """One contestant on one clip, its first picture seen and its things given."""

    def step(self, index: int) -> Any:
        """Follow everything to picture `index`, the next one: what is timed."""
        ...

    def masks(self, followed: Any) -> list[Mask | None]:
        """What a step found, at source size; None for a thing that is not seen."""
        ...

    def held_bytes(self) -> int:
        """Of what it keeps for this stream: pictures, memories, masks."""
        ...


class Contestant(Protocol):
    """One way to track."""

    @property
    def name(self) -> str:
        """A backend of ours, or a peer."""
        ...

    @property
    def precision(self) -> Precision:
        """Of products."""
        ...

    def start(self, clip: BenchClip, stopwatch: Stopwatch) -> Run:
        """Give it a clip's things. Tells the stopwatch when each of PARTS is at work."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Ours:
    """The product's tracker."""

    compiled: CompiledTracker
    precision: Precision
    policy: TrackerPolicy

    @property
    def name(self) -> str:
        """Its backend's."""
        return self.compiled.backend

    def start(self, clip: BenchClip, stopwatch: Stopwatch) -> Run:
        """See `Contestant`."""
        programs: Any = {part: Timed(getattr(self.compiled, part), part, stopwatch) for part in PARTS}
        timed = replace(self.compiled, **programs)
        tracker = SamTracker(timed, capacity=len(clip.given), policy=self.policy)
        tracker.step(framed(0, clip.frames[0]))
        tracker.pin(0)
        return _OurRun(tracker, clip)


@dataclass(frozen=True, slots=True, eq=False)
class _OurRun:
    tracker: SamTracker
    clip: BenchClip

    def step(self, index: int) -> Sequence[Track]:
        answers = [given_by(self.clip.logits())] if index == 1 else []
        return self.tracker.step(framed(index, self.clip.frames[index]), answers)

    def masks(self, followed: Sequence[Track]) -> list[Mask | None]:
        drawn = {int(track.phrase): decode_mask(track.mask) for track in followed if track.mask}
        return [drawn.get(thing) for thing in range(len(self.clip.given))]

    def held_bytes(self) -> int:
        return self.tracker.nbytes
