"""Frame rates, frame ages and dropped frames of published results, over a run or over parts of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streaming.vocabulary import FrameResult

Interval = tuple[float, float]
"Begin (included) and end (excluded), Unix time in seconds."


class ResultRates:
    """Rates of the results added so far. Stores a number per result: use an instance for one measurement."""

    def __init__(self) -> None:
        self.dropped = 0
        "Frames that were replaced by newer ones before the tracker took them."
        self._ages_s: list[float] = []
        self._first_s = self._last_s = 0.0

    def add(self, result: FrameResult) -> None:
        """Add a result; results come in order of publication."""
        self.dropped += result.dropped
        self._first_s = self._first_s or result.published_s
        self._last_s = result.published_s
        self._ages_s.append(result.latency_s.total)

    @property
    def results(self) -> int:
        """Number of results."""
        return len(self._ages_s)

    @property
    def fps(self) -> float:
        """Results per second between the first and the last; 0 with fewer than two."""
        span_s = self._last_s - self._first_s
        return (self.results - 1) / span_s if span_s > 0 else 0.0

    def age_s(self, share: float) -> float | None:
        """Return the quantile `share` (0..1) of the frame ages in seconds; None without results."""
        return quantile(self._ages_s, share)


@dataclass(frozen=True, slots=True)
class IntervalRates:
    """A stream's rates within some intervals."""

    seconds: float
    "Total length of the intervals."
    fps: float
    "Frames tracked per second."
    age_p95_s: float | None
    "From the arrival of a frame's packet to its result's publication; None without results."


def rates_during(results: Sequence[FrameResult], intervals: Sequence[Interval]) -> IntervalRates:
    """Return the rates of the results published within `intervals`, which must not overlap."""
    ages_s = [
        result.latency_s.total
        for result in results
        if any(begin <= result.published_s < end for begin, end in intervals)
    ]
    seconds = sum(end - begin for begin, end in intervals)
    return IntervalRates(seconds, len(ages_s) / seconds if seconds > 0 else 0.0, quantile(ages_s, 0.95))


def remaining_intervals(intervals: Sequence[Interval], whole: Interval) -> list[Interval]:
    """Return the parts of `whole` outside of `intervals`, which are in order and do not overlap."""
    edges = [whole[0], *(edge for interval in intervals for edge in interval), whole[1]]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return [(begin, end) for begin, end in gaps if end > begin]


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the quantile `share` (0..1), interpolated; None without values."""
    return float(np.quantile(values, share)) if values else None
