"""How results came: frames a second, frame ages, drops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streaming.vocabulary import FrameResult


class Flow:
    """Takes results as they come. Holds a number for each, so it lasts for one measurement."""

    def __init__(self) -> None:
        self.dropped = 0
        "Frames that nobody tracked."
        self._ages_s: list[float] = []
        self._first_s = self._last_s = 0.0

    def see(self, result: FrameResult) -> None:
        """Take in a result."""
        self.dropped += result.dropped
        self._first_s = self._first_s or result.published_s
        self._last_s = result.published_s
        self._ages_s.append(result.latency_s.total)

    @property
    def results(self) -> int:
        """How many there were."""
        return len(self._ages_s)

    @property
    def fps(self) -> float:
        """Results per second between the first and the last."""
        span_s = self._last_s - self._first_s
        return (self.results - 1) / span_s if span_s > 0 else 0.0

    def age_s(self, share: float) -> float | None:
        """That quantile of the frame ages; None of nothing."""
        return quantile(self._ages_s, share)


def quantile(values: Sequence[float], share: float) -> float | None:
    """None of nothing."""
    return float(np.quantile(values, share)) if values else None
