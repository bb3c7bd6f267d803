"""The last seconds of a stream in numbers: rate and frame age. Pure and bounded."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

WINDOW_S = 5.0
_MOST = 1_000
"Results looked at; at 200 a second the whole window."


@dataclass(frozen=True, slots=True)
class Rates:
    """What a person wants to know of a live stream. None where nothing was measured."""

    tracked_fps: float
    frame_age_p50_s: float | None
    frame_age_p95_s: float | None


class RateWindow:
    """When results were published and how old their frames were. One thread writes, any may read."""

    def __init__(self) -> None:
        self._published: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def add(self, published_s: float, age_s: float) -> None:
        """Note a result."""
        self._published.append((published_s, age_s))

    def rates(self, now_s: float) -> Rates:
        """Over the window that ends now."""
        inside = [(at_s, age_s) for at_s, age_s in tuple(self._published) if now_s - at_s <= WINDOW_S]
        if not inside:
            return Rates(0.0, None, None)
        # A stream younger than the window is judged by its own age; at least a second, or the first
        # results would look like thousands a second.
        span_s = min(WINDOW_S, max(1.0, now_s - inside[0][0]))
        ages = np.array([age_s for _, age_s in inside])
        return Rates(len(inside) / span_s, float(np.quantile(ages, 0.5)), float(np.quantile(ages, 0.95)))
