"""Tracked frame rate and frame age of a stream's last seconds. Pure and bounded."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

WINDOW_S = 5.0
_CAPACITY = 1_000
"Results in the window: all of them up to 200 per second."


@dataclass(frozen=True, slots=True)
class Rates:
    """Figures of the window. None where nothing was measured."""

    tracked_fps: float
    frame_age_p50_s: float | None
    frame_age_p95_s: float | None


class RateWindow:
    """Times of tracked frames, and frame ages of published results. Times are of the monotonic clock.

    A frame is counted when it is tracked: while Redis is away the rate stays what it is, and when all that
    waited is written at once it does not jump.
    """

    def __init__(self) -> None:
        self._tracked: deque[float] = deque(maxlen=_CAPACITY)
        self._published: deque[tuple[float, float]] = deque(maxlen=_CAPACITY)

    def add_tracked(self, now_s: float) -> None:
        """Record that a frame was tracked. One thread calls this."""
        self._tracked.append(now_s)

    def add_published(self, now_s: float, age_s: float) -> None:
        """Record that a result was published, and how old its frame was then. One thread calls this."""
        self._published.append((now_s, age_s))

    def rates(self, now_s: float) -> Rates:
        """Return the figures of the `WINDOW_S` before `now_s`. Any thread."""
        tracked = [at_s for at_s in tuple(self._tracked) if now_s - at_s <= WINDOW_S]
        ages = [age_s for at_s, age_s in tuple(self._published) if now_s - at_s <= WINDOW_S]
        # A stream younger than the window has its own age as the span; at least a second, else the first
        # results would give thousands per second.
        fps = len(tracked) / min(WINDOW_S, max(1.0, now_s - tracked[0])) if tracked else 0.0
        if not ages:
            return Rates(fps, None, None)
        return Rates(fps, float(np.quantile(ages, 0.5)), float(np.quantile(ages, 0.95)))
