"""Frame rates, frame ages and dropped frames."""

import pytest

from lab.benchmarks.rates import ResultRates, quantile, rates_during, remaining_intervals
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId


def result(at_s: float, age_s: float = 0.02, dropped: int = 0) -> FrameResult:
    latency = Latency(0, 0, age_s)
    return FrameResult(StreamId("s"), 0, 0, at_s - age_s, Clock.ARRIVAL, at_s, 64, 48, dropped, latency)


def test_the_rate_is_counted_between_the_first_and_the_last_result() -> None:
    rates = ResultRates()
    for index in range(41):
        rates.add(result(100 + index / 40, dropped=index % 2))
    assert (rates.results, rates.dropped) == (41, 20)
    assert rates.fps == pytest.approx(40)


def test_ages_are_reported_as_quantiles() -> None:
    rates = ResultRates()
    for index in range(101):
        rates.add(result(100 + index, age_s=index / 1000))
    assert rates.age_s(0.5) == pytest.approx(0.05)
    assert rates.age_s(0.95) == pytest.approx(0.095)


def test_without_results_there_is_neither_rate_nor_age() -> None:
    rates = ResultRates()
    assert (rates.fps, rates.age_s(0.5), rates.results, quantile([], 0.5)) == (0.0, None, 0, None)


def test_a_single_result_has_no_rate() -> None:
    rates = ResultRates()
    rates.add(result(100, age_s=0.01))
    assert rates.fps == 0.0


def test_rates_of_intervals_count_only_results_published_within_them() -> None:
    slow, quick = [result(10 + k / 5, 0.5) for k in range(10)], [result(12 + k / 20) for k in range(40)]
    intervals = [(10.0, 12.0)]
    answering = rates_during([*slow, *quick], intervals)
    following = rates_during([*slow, *quick], remaining_intervals(intervals, (10.0, 14.0)))
    assert (answering.seconds, answering.fps, answering.age_p95_s) == (2.0, 5.0, 0.5)
    assert (following.seconds, following.fps, following.age_p95_s) == (2.0, 20.0, 0.02)


def test_empty_intervals_have_rate_zero_and_intervals_without_results_have_no_age() -> None:
    assert (rates_during([result(1.0)], []).fps, rates_during([], [(0.0, 2.0)]).fps) == (0.0, 0.0)
    assert rates_during([], [(0.0, 2.0)]).age_p95_s is None


@pytest.mark.parametrize(
    ("intervals", "remaining"),
    [
        ([], [(0, 9)]),
        ([(2, 3), (5, 6)], [(0, 2), (3, 5), (6, 9)]),
        ([(0, 3), (3, 9)], []),
    ],
)
def test_remaining_intervals_are_the_rest_of_the_time(
    intervals: list[tuple[float, float]], remaining: list[tuple[float, float]]
) -> None:
    assert remaining_intervals(intervals, (0, 9)) == remaining
