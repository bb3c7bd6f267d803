"""Laws of how the world widens."""

from __future__ import annotations

import pytest

from lab.training.curriculum import Ladder
from lab.training.world.levels import CURRICULUM


def test_a_level_is_left_when_it_is_mastered_and_not_before() -> None:
    ladder = Ladder(CURRICULUM, gate=0.7)
    ladder.judged(0.69)
    assert (ladder.level, ladder.rung) == (CURRICULUM[0], 0)
    ladder.judged(0.7)
    assert (ladder.level, ladder.rung) == (CURRICULUM[1], 1)
    assert ladder.above == CURRICULUM[1:]


def test_from_the_last_level_there_is_no_way_on() -> None:
    ladder = Ladder(CURRICULUM[:2], gate=0.5)
    for _ in range(5):
        ladder.judged(0.9)
    assert ladder.level == CURRICULUM[1]


def test_it_stands_where_it_stood_when_a_run_goes_on_also_on_a_longer_ladder() -> None:
    ladder = Ladder(CURRICULUM[1:], gate=0.5)
    ladder.judged(1.0)
    again = Ladder(CURRICULUM, gate=0.5)
    again.load_state_dict(ladder.state_dict())
    assert again.level == ladder.level == CURRICULUM[2]


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(ValueError):
        Ladder(CURRICULUM, gate=0.5).load_state_dict({"level": "paradise"})
