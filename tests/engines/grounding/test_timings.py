"""Laws of the step timer."""

from __future__ import annotations

import pytest

from engines.grounding.timings import Step, StepTimer
from streaming.vocabulary import GroundSeconds


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_time_inside_measure_is_added_to_the_step() -> None:
    clock = Clock()
    steps = StepTimer(clock)
    for step, seconds in ((Step.ENCODE, 1.0), (Step.PREFILL, 4.0), (Step.ENCODE, 2.0)):
        with steps.measure(step):
            clock.now_s += seconds
        clock.now_s += 10
    assert steps.per_keyframe() == GroundSeconds(look=3.0, read=4.0)


def test_time_is_divided_by_the_number_of_keyframes() -> None:
    clock = Clock()
    steps = StepTimer(clock)
    with steps.measure(Step.DECODE_MASKS):
        clock.now_s += 6
    assert steps.per_keyframe(3) == GroundSeconds(draw=2.0)


def test_the_time_of_a_failed_step_counts() -> None:
    clock = Clock()
    steps = StepTimer(clock)
    with pytest.raises(ZeroDivisionError), steps.measure(Step.PREFILL):
        clock.now_s += 5
        raise ZeroDivisionError
    assert steps.per_keyframe().read == 5.0


def test_steps_are_fields_of_ground_seconds() -> None:
    assert {step.value for step in Step} == set(GroundSeconds.__slots__) - {"wait"}
