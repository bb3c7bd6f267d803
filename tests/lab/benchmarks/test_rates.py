"""Frames a second, frame ages, drops."""

import pytest

from lab.benchmarks.rates import Flow, quantile
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId


def result(at_s: float, age_s: float, dropped: int = 0) -> FrameResult:
    latency = Latency(0, 0, age_s)
    return FrameResult(StreamId("s"), 0, 0, at_s - age_s, Clock.ARRIVAL, at_s, 64, 48, dropped, latency)


def test_a_rate_is_counted_between_the_first_and_the_last_result() -> None:
    flow = Flow()
    for index in range(41):
        flow.see(result(100 + index / 40, age_s=0.02, dropped=index % 2))
    assert (flow.results, flow.dropped) == (41, 20)
    assert flow.fps == pytest.approx(40)


def test_ages_are_told_by_their_quantiles() -> None:
    flow = Flow()
    for index in range(101):
        flow.see(result(100 + index, age_s=index / 1000))
    assert flow.age_s(0.5) == pytest.approx(0.05)
    assert flow.age_s(0.95) == pytest.approx(0.095)


def test_of_nothing_nothing_is_told() -> None:
    assert (Flow().fps, Flow().age_s(0.5), Flow().results, quantile([], 0.5)) == (0.0, None, 0, None)


def test_one_result_has_no_rate() -> None:
    flow = Flow()
    flow.see(result(100, age_s=0.01))
    assert flow.fps == 0.0
