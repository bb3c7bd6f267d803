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
    """Publication times and frame ages of results. One thread writes, any may read."""

    def __init__(self) -> None:
        self._published: deque[tuple[float, float]] = deque(maxlen=_CAPACITY)

    def add(self, published_s: float, age_s: float) -> None:
        """Record a result: when it was published (Unix time) and how old its frame was then."""
        self._published.append((published_s, age_s))

    def rates(self, now_s: float) -> Rates:
        """Return the figures of the `WINDOW_S` before `now_s`."""
        inside = [(at_s, age_s) for at_s, age_s in tuple(self._published) if now_s - at_s <= WINDOW_S]
        if not inside:
            return Rates(0.0, None, None)
        # A stream younger than the window has its own age as the span; at least a second, else the first
        # results would give thousands per second.
        span_s = min(WINDOW_S, max(1.0, now_s - inside[0][0]))
        ages = np.array([age_s for _, age_s in inside])
        return Rates(len(inside) / span_s, float(np.quantile(ages, 0.5)), float(np.quantile(ages, 0.95)))
