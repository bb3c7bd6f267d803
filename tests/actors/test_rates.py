"""Rate and frame age of the last seconds."""

import pytest

from actors.rates import WINDOW_S, RateWindow


def test_without_results_the_rate_is_0_and_ages_are_none() -> None:
    rates = RateWindow().rates(now_s=10.0)
    assert (rates.tracked_fps, rates.frame_age_p50_s, rates.frame_age_p95_s) == (0.0, None, None)


def test_a_steady_stream_has_its_rate_and_quantiles() -> None:
    window = RateWindow()
    for index in range(300):
        window.add_tracked(index / 30)
        window.add_published(index / 30, 0.02 if index % 10 else 0.08)
    rates = window.rates(now_s=10.0)
    assert rates.tracked_fps == pytest.approx(30, rel=0.02)
    assert rates.frame_age_p50_s == pytest.approx(0.02)
    assert rates.frame_age_p95_s == pytest.approx(0.08)


def test_after_the_window_a_stopped_stream_has_rate_0() -> None:
    window = RateWindow()
    window.add_tracked(0.0)
    assert window.rates(now_s=WINDOW_S + 1).tracked_fps == 0.0


def test_one_result_gives_at_most_1_fps() -> None:
    window = RateWindow()
    window.add_tracked(0.0)
    assert window.rates(now_s=0.001).tracked_fps == 1.0


def test_results_that_waited_for_redis_change_ages_and_not_the_rate() -> None:
    window = RateWindow()
    for index in range(300):
        window.add_tracked(index / 30)
    away = window.rates(now_s=10.0)
    assert away.tracked_fps == pytest.approx(30, rel=0.02) and away.frame_age_p50_s is None
    for index in range(300):
        window.add_published(10.0, 10.0 - index / 30)
    back = window.rates(now_s=10.0)
    assert back.tracked_fps == away.tracked_fps
    assert back.frame_age_p50_s == pytest.approx(5, rel=0.02)
