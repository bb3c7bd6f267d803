"""Laws of the stopwatch."""

from __future__ import annotations

import pytest

from engines.grounding.timings import Step, Steps
from streaming.vocabulary import GroundSeconds


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_what_happens_during_a_step_is_its_time() -> None:
    clock = Clock()
    steps = Steps(clock)
    for step, seconds in ((Step.LOOK, 1.0), (Step.READ, 4.0), (Step.LOOK, 2.0)):
        with steps.during(step):
            clock.now_s += seconds
        clock.now_s += 10
    assert steps.share() == GroundSeconds(look=3.0, read=4.0)


def test_keyframes_that_were_worked_on_together_share_the_time() -> None:
    clock = Clock()
    steps = Steps(clock)
    with steps.during(Step.DRAW):
        clock.now_s += 6
    assert steps.share(3) == GroundSeconds(draw=2.0)


def test_a_step_that_fails_took_its_time_too() -> None:
    clock = Clock()
    steps = Steps(clock)
    with pytest.raises(ZeroDivisionError), steps.during(Step.READ):
        clock.now_s += 5
        raise ZeroDivisionError
    assert steps.share().read == 5.0


def test_steps_are_those_of_the_vocabulary() -> None:
    assert {step.value for step in Step} == set(GroundSeconds.__slots__) - {"wait"}
