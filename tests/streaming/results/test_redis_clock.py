"""Times of Redis converted to our clock are never early, and late by at most the shortest round trip."""

from __future__ import annotations

import math
import random

import pytest

from streaming.results.redis_clock import REMEASURED_AFTER_S, RedisClock

REDIS_AHEAD_S = 7.25


def round_trip(clock: RedisClock, sent_s: float, there_s: float, back_s: float, ahead_s: float) -> None:
    """A command that takes `there_s` to Redis, whose clock is `ahead_s` ahead, and a reply that takes
    `back_s`."""
    clock.note(sent_s, sent_s + there_s + ahead_s, sent_s + there_s + back_s)


def test_the_offset_is_infinite_before_the_first_round_trip() -> None:
    clock = RedisClock()
    assert clock.offset_s == float("inf")
    clock.note(10.0, 10.0, 10.1)
    assert clock.offset_s == pytest.approx(0.1)


@pytest.mark.parametrize("seed", range(5))
def test_a_converted_time_is_never_early_and_late_by_at_most_the_shortest_way_back(seed: int) -> None:
    rng = random.Random(seed)
    clock = RedisClock()
    shortest_back_s = math.inf
    for index in range(50):
        back_s = rng.uniform(0.0001, 0.5)
        shortest_back_s = min(shortest_back_s, back_s)
        round_trip(clock, index, rng.uniform(0.0001, 0.5), back_s, REDIS_AHEAD_S)
        late_s = clock.offset_s + REDIS_AHEAD_S
        assert -1e-9 <= late_s <= shortest_back_s + 1e-9


def test_a_clock_that_steps_is_followed_at_once_in_both_directions() -> None:
    clock = RedisClock()
    for sent_s, ahead_s in ((0.0, 5.0), (1.0, 5.5), (2.0, 4.0)):
        round_trip(clock, sent_s, 0.001, 0.001, ahead_s)
        assert clock.offset_s == pytest.approx(-ahead_s + 0.001)


def test_drift_is_followed_after_a_minute() -> None:
    clock = RedisClock()
    round_trip(clock, 0.0, 0.001, 0.001, 5.0)
    drifted_s = 5.0 - 0.001  # less than the round trip: no single measurement proves it
    round_trip(clock, 30.0, 0.001, 0.001, drifted_s)
    assert clock.offset_s == pytest.approx(-5.0 + 0.001)
    round_trip(clock, REMEASURED_AFTER_S + 1.0, 0.001, 0.001, drifted_s)
    assert clock.offset_s == pytest.approx(-drifted_s + 0.001)
