"""How a stream went on while words were being answered, and in between. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.benchmarks.rates import quantile
from streaming.vocabulary import FrameResult

Span = tuple[float, float]
"""From when to when, Unix time."""


@dataclass(frozen=True, slots=True)
class Pace:
    """One stream during some spans of time."""

    seconds: float
    "How long the spans are together."
    fps: float
    "Frames tracked a second."
    age_p95_s: float | None
    "From the arrival of a picture's packet to its result's publication; None where there was no result."


def pace(results: Sequence[FrameResult], spans: Sequence[Span]) -> Pace:
    """Of the results that were published during `spans`, which must not overlap."""
    ages_s = [
        result.latency_s.total
        for result in results
        if any(begin <= result.published_s < end for begin, end in spans)
    ]
    seconds = sum(end - begin for begin, end in spans)
    return Pace(seconds, len(ages_s) / seconds if seconds > 0 else 0.0, quantile(ages_s, 0.95))


def between(spans: Sequence[Span], whole: Span) -> list[Span]:
    """What is left of `whole` without `spans`, which come in order of time and do not overlap."""
    edges = [whole[0], *(edge for span in spans for edge in span), whole[1]]
    left = zip(edges[::2], edges[1::2], strict=True)
    return [(begin, end) for begin, end in left if end > begin]
