"""Timing of tracking steps."""

from actors.heartbeat import RECENT_STEPS, StepClock, StepTiming


def test_before_the_first_completed_step_there_is_no_longest() -> None:
    clock = StepClock()
    assert clock.timing(5.0) == StepTiming(0.0, None)
    clock.begin(5.0)
    assert clock.timing(65.0) == StepTiming(60.0, None)


def test_between_steps_nothing_is_running() -> None:
    clock = StepClock()
    for began_s, took_s in ((1.0, 0.5), (2.0, 0.25)):
        clock.begin(began_s)
        clock.end(began_s + took_s)
    assert clock.timing(100.0) == StepTiming(0.0, 0.5)


def test_only_recent_steps_count_and_memory_is_bounded() -> None:
    clock = StepClock()
    clock.begin(0.0)
    clock.end(60.0)
    for index in range(RECENT_STEPS):
        clock.begin(100.0 + index)
        clock.end(100.0 + index + 0.25)
    assert clock.timing(1000.0).longest_s == 0.25
