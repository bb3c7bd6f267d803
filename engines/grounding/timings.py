"""Time spent in each step of a grounding."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from streaming.vocabulary import GroundSeconds


class Step(StrEnum):
    """A step; its value is the field of `GroundSeconds` that it is reported in."""

    ENCODE = "look"
    "Image encoders of the language model and of SAM-2."
    PREFILL = "read"
    "Language model: prefill, and generation where answers are generated."
    DECODE_MASKS = "draw"
    "Mask decoder."


class StepTimer:
    """Sums up the time of each step. Steps must not overlap. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._spent_s: Counter[Step] = Counter()

    @contextmanager
    def measure(self, step: Step) -> Iterator[None]:
        """Add the time of the block to a step, also if the block raises."""
        started_s = self._clock()
        try:
            yield
        finally:
            self._spent_s[step] += self._clock() - started_s  # type: ignore[assignment]  # a Counter of seconds

    def per_keyframe(self, count: int = 1) -> GroundSeconds:
        """Divide the time by the number of keyframes of the batch."""
        return GroundSeconds(**{step.value: self._spent_s[step] / count for step in Step})
