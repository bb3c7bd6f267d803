"""The interface of trackers in the tracker benchmark, and Saccade's tracker behind it.

Each candidate gets the same objects' masks on the first frame and tracks them frame by frame. A timed step
begins with the source frame (`sam2`: with the model's input) and ends with masks of the frame's size, in
Saccade's case as run lengths.
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
from lab.benchmarks.timing import Stopwatch, TimedProgram
from lab.benchmarks.tracker_clip import BenchClip
from lab.evaluation.propagation import answer_from_logits, stream_frame
from streaming.vocabulary import Mask, Track

PARTS: Final = ("encode", "track", "remember")
"""Parts of a frame: the image encoder; memory attention and mask decoder; the memory encoder."""


class CandidateRun(Protocol):
    """A candidate on a clip, after the first frame."""

    def step(self, index: int) -> Any:
        """Track all objects on frame `index`, the next one. This is what is timed."""
        ...

    def masks(self, output: Any) -> list[Mask | None]:
        """Return a step's masks at source size; None for an object that is not visible."""
        ...

    def held_bytes(self) -> int:
        """Return the size of what it stores for the stream: frames, memories, masks."""
        ...


class Candidate(Protocol):
    """A tracker with a precision."""

    @property
    def name(self) -> str:
        """Name of a backend of Saccade, or of a baseline."""
        ...

    @property
    def precision(self) -> Precision:
        """Of matrix products."""
        ...

    def start(self, clip: BenchClip, stopwatch: Stopwatch) -> CandidateRun:
        """Add the clip's objects on its first frame; time each of PARTS with the stopwatch."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SaccadeCandidate:
    """Saccade's tracker."""

    compiled: CompiledTracker
    precision: Precision
    policy: TrackerPolicy

    @property
    def name(self) -> str:
        """The backend's name."""
        return self.compiled.backend

    def start(self, clip: BenchClip, stopwatch: Stopwatch) -> CandidateRun:
        """See `Candidate`."""
        programs: Any = {part: TimedProgram(getattr(self.compiled, part), part, stopwatch) for part in PARTS}
        timed = replace(self.compiled, **programs)
        tracker = SamTracker(timed, capacity=len(clip.masks), policy=self.policy)
        tracker.step(stream_frame(0, clip.frames[0]))
        tracker.pin(0)
        return _SaccadeRun(tracker, clip)


@dataclass(frozen=True, slots=True, eq=False)
class _SaccadeRun:
    tracker: SamTracker
    clip: BenchClip

    def step(self, index: int) -> Sequence[Track]:
        answers = [answer_from_logits(self.clip.logits())] if index == 1 else []
        return self.tracker.step(stream_frame(index, self.clip.frames[index]), answers)

    def masks(self, output: Sequence[Track]) -> list[Mask | None]:
        masks = {int(track.phrase): decode_mask(track.mask) for track in output if track.mask}
        return [masks.get(number) for number in range(len(self.clip.masks))]

    def held_bytes(self) -> int:
        return self.tracker.nbytes
