"""The last seconds in numbers."""

import pytest

from actors.rates import WINDOW_S, RateWindow


def test_nothing_measured_is_said_as_nothing() -> None:
    rates = RateWindow().rates(now_s=10.0)
    assert (rates.tracked_fps, rates.frame_age_p50_s, rates.frame_age_p95_s) == (0.0, None, None)


def test_a_steady_stream_shows_its_rate_and_its_ages() -> None:
    recent = RateWindow()
    for index in range(300):
        recent.add(index / 30, 0.02 if index % 10 else 0.08)
    rates = recent.rates(now_s=10.0)
    assert rates.tracked_fps == pytest.approx(30, rel=0.02)
    assert rates.frame_age_p50_s == pytest.approx(0.02)
    assert rates.frame_age_p95_s == pytest.approx(0.08)


def test_a_stream_that_stopped_falls_to_zero() -> None:
    recent = RateWindow()
    recent.add(0.0, 0.02)
    assert recent.rates(now_s=WINDOW_S + 1).tracked_fps == 0.0


def test_the_first_result_is_not_a_thousand_a_second() -> None:
    recent = RateWindow()
    recent.add(0.0, 0.02)
    assert recent.rates(now_s=0.001).tracked_fps == 1.0
