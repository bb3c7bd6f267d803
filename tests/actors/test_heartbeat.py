"""Timing of tracking steps."""

from __future__ import annotations

import pytest

from actors.heartbeat import RECENT_STEPS, StepClock, StepTiming


def no_compilations() -> int:
    return 0


@pytest.fixture
def clock() -> StepClock:
    return StepClock(no_compilations)


def step(clock: StepClock, took_s: float, planned: int = 1, tracked: int | None = None) -> None:
    clock.begin(100.0)
    clock.complete(100.0 + took_s, planned, planned if tracked is None else tracked)


@pytest.mark.parametrize("planned", [0, 1])
def test_before_the_first_completed_step_nothing_is_expected(clock: StepClock, planned: int) -> None:
    assert clock.timing(5.0, planned) == StepTiming(0.0, None)
    clock.begin(5.0)
    assert clock.timing(65.0, planned) == StepTiming(60.0, None)


def test_between_steps_nothing_is_running(clock: StepClock) -> None:
    step(clock, 0.5)
    step(clock, 0.25)
    assert clock.timing(200.0, 1) == StepTiming(0.0, 0.5)


def test_only_recent_steps_count_and_memory_is_bounded(clock: StepClock) -> None:
    step(clock, 60.0)
    for _ in range(RECENT_STEPS):
        step(clock, 0.25)
    assert clock.timing(1000.0, 1).expected_s == 0.25


def test_steps_without_objects_say_nothing_about_the_first_step_with_objects(clock: StepClock) -> None:
    """They take milliseconds; the first with an answer encodes images: 20 s with SAM-2 on two CPU cores."""
    for _ in range(RECENT_STEPS):
        step(clock, 0.0078125, planned=0)
    clock.begin(100.0)
    assert clock.timing(120.0, 1) == StepTiming(20.0, None)
    assert clock.timing(120.0, 0) == StepTiming(20.0, 0.0078125)


def test_an_idle_phase_does_not_forget_how_long_steps_with_objects_take(clock: StepClock) -> None:
    step(clock, 8.0)
    for _ in range(2 * RECENT_STEPS):
        step(clock, 0.0078125, planned=0)
    assert clock.timing(1000.0, 1).expected_s == 8.0


def test_more_objects_may_take_more_time_and_fewer_as_much(clock: StepClock) -> None:
    step(clock, 2.0, planned=2)
    assert clock.timing(1000.0, 16).expected_s == 16.0
    assert clock.timing(1000.0, 1).expected_s == 2.0


def test_a_step_that_raised_or_dropped_its_objects_is_no_measure(clock: StepClock) -> None:
    clock.begin(100.0)
    clock.abort()
    step(clock, 0.0078125, planned=1, tracked=0)
    assert clock.timing(1000.0, 1) == StepTiming(0.0, None)


def test_a_step_in_which_a_model_is_compiled_is_no_measure_and_has_no_limit_from_others() -> None:
    begun = [0]
    clock = StepClock(lambda: begun[0])
    step(clock, 0.015625)
    clock.begin(100.0)
    assert clock.timing(130.0, 1) == StepTiming(30.0, 0.015625)
    begun[0] += 1
    assert clock.timing(130.0, 1) == StepTiming(30.0, None)
    clock.complete(130.0, 1, 1)
    assert clock.timing(131.0, 1) == StepTiming(0.0, 0.015625)


def test_after_a_reset_steps_may_take_as_long_as_the_first(clock: StepClock) -> None:
    step(clock, 0.015625)
    clock.begin_reset(100.0)
    assert clock.timing(130.0, 1) == StepTiming(30.0, None)
    clock.abort()
    assert clock.timing(131.0, 1) == StepTiming(0.0, None)
