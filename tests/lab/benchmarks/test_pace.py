"""How a stream went on while words were being answered."""

import pytest

from lab.benchmarks.pace import between, pace
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId


def result(at_s: float, age_s: float = 0.02) -> FrameResult:
    return FrameResult(StreamId("s"), 0, 0, 0, Clock.ARRIVAL, at_s, 4, 4, 0, Latency(0, 0, age_s), ())


def test_what_was_published_during_the_spans_is_their_pace() -> None:
    slow, quick = [result(10 + k / 5, 0.5) for k in range(10)], [result(12 + k / 20) for k in range(40)]
    spans = [(10.0, 12.0)]
    answering = pace([*slow, *quick], spans)
    following = pace([*slow, *quick], between(spans, (10.0, 14.0)))
    assert (answering.seconds, answering.fps, answering.age_p95_s) == (2.0, 5.0, 0.5)
    assert (following.seconds, following.fps, following.age_p95_s) == (2.0, 20.0, 0.02)


def test_without_time_there_is_no_rate_and_without_results_no_age() -> None:
    assert (pace([result(1.0)], []).fps, pace([], [(0.0, 2.0)]).fps) == (0.0, 0.0)
    assert pace([], [(0.0, 2.0)]).age_p95_s is None


@pytest.mark.parametrize(
    ("spans", "left"),
    [
        ([], [(0, 9)]),
        ([(2, 3), (5, 6)], [(0, 2), (3, 5), (6, 9)]),
        ([(0, 3), (3, 9)], []),
    ],
)
def test_what_is_between_spans_is_the_rest_of_the_time(
    spans: list[tuple[float, float]], left: list[tuple[float, float]]
) -> None:
    assert between(spans, (0, 9)) == left
