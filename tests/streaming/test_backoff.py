import random

import pytest

from streaming.backoff import FORBIDDEN_BACKOFF, HEALTHY_S, UNAVAILABLE_BACKOFF, next_attempt


class NoJitter(random.Random):
    def random(self) -> float:
        return 0.0


def test_an_unavailable_camera_is_retried_soon_and_then_every_second():
    assert [UNAVAILABLE_BACKOFF.delay_s(attempt, NoJitter()) for attempt in range(5)] == [
        0.25,
        0.5,
        1.0,
        1.0,
        1.0,
    ]


def test_a_camera_that_refuses_us_is_left_in_peace():
    assert [FORBIDDEN_BACKOFF.delay_s(attempt, NoJitter()) for attempt in range(7)] == [
        1,
        2,
        4,
        8,
        16,
        30,
        30,
    ]


@pytest.mark.parametrize("backoff", [UNAVAILABLE_BACKOFF, FORBIDDEN_BACKOFF])
def test_jitter_only_shortens_the_delay(backoff):
    rng = random.Random(0)
    waits = [backoff.delay_s(attempt % 40, rng) for attempt in range(1_000)]
    assert max(waits) <= backoff.cap_s
    assert min(waits) >= backoff.first_s * (1 - backoff.jitter)
    assert len(set(waits)) > 900


def test_the_wait_is_the_same_after_a_year_of_attempts():
    assert UNAVAILABLE_BACKOFF.delay_s(30_000_000, NoJitter()) == UNAVAILABLE_BACKOFF.cap_s


def test_only_a_healthy_period_starts_the_waits_again():
    assert next_attempt(4, healthy_s=0.0) == 5
    assert next_attempt(4, healthy_s=HEALTHY_S - 0.1) == 5
    assert next_attempt(4, healthy_s=HEALTHY_S) == 0
