"""Where a grounding's time goes, step by step."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from streaming.vocabulary import GroundSeconds


class Step(StrEnum):
    """The steps, as `GroundSeconds` names them."""

    LOOK = "look"
    READ = "read"
    DRAW = "draw"


class Steps:
    """A stopwatch for each step. Steps do not overlap. Not for two threads."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._spent: Counter[Step] = Counter()

    @contextmanager
    def during(self, step: Step) -> Iterator[None]:
        """What happens inside is this step's time, a failure's too."""
        started_s = self._clock()
        try:
            yield
        finally:
            self._spent[step] += self._clock() - started_s  # type: ignore[assignment]  # a Counter of seconds

    def share(self, count: int = 1) -> GroundSeconds:
        """What fell to each of `count` keyframes that were worked on together."""
        return GroundSeconds(**{step.value: self._spent[step] / count for step in Step})
