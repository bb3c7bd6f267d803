import itertools

import pytest

from streaming.sources.timeline import MAX_STEP_S, Timeline


def test_the_first_frame_is_at_zero_and_differences_are_kept():
    line = Timeline()
    assert [line.at(raw, 0.0) for raw in (5.0, 5.04, 5.10)] == pytest.approx([0.0, 0.04, 0.10])


def test_a_new_session_goes_on_by_the_clock():
    line = Timeline()
    line.at(100.0, 10.0)
    line.restart()
    assert line.at(0.0, 13.0) == pytest.approx(3.0)
    assert line.at(0.04, 13.5) == pytest.approx(3.04)


@pytest.mark.parametrize("raw_s", [None, 99.0, 0.0, 100.0 + MAX_STEP_S + 1])
def test_a_timestamp_that_is_missing_or_leaps_is_replaced_by_the_clock(raw_s):
    line = Timeline()
    line.at(100.0, 10.0)
    assert line.at(raw_s, 10.2) == pytest.approx(0.2)


def test_disorder_within_a_session_neither_shows_nor_adds_up():
    line = Timeline()
    raws = [k * 0.04 + (0.08 if k % 3 == 0 else 0.0) for k in range(300)]
    times = [line.at(raw, 1_000.0 + k) for k, raw in enumerate(raws)]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[-1] - times[0] == pytest.approx(299 * 0.04, abs=0.1)


def test_it_goes_on_from_a_leap_with_the_steps_after_it():
    line = Timeline()
    line.at(0.0, 10.0)
    line.at(5_000.0, 10.5)
    assert line.at(5_000.04, 10.6) == pytest.approx(0.54)


def test_pts_s_increases_for_any_timestamps():
    line = Timeline()
    raws = [0.0, None, None, 3.0, 2.0, 2.0, 1e9, -5.0, 0.0, None, 0.04]
    times = [line.at(raw, 50.0 - index) for index, raw in enumerate(raws)]
    assert all(a < b for a, b in itertools.pairwise(times))
