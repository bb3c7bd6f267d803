"""Laws of how the world widens."""

from __future__ import annotations

import pytest

from lab.training.curriculum import Ladder
from lab.training.world.levels import LADDER


def test_a_level_is_left_when_it_is_mastered_and_not_before() -> None:
    ladder = Ladder(LADDER, gate=0.7)
    ladder.judged(0.69)
    assert (ladder.level, ladder.rung) == (LADDER[0], 0)
    ladder.judged(0.7)
    assert (ladder.level, ladder.rung) == (LADDER[1], 1)
    assert ladder.above == LADDER[1:]


def test_from_the_last_level_there_is_no_way_on() -> None:
    ladder = Ladder(LADDER[:2], gate=0.5)
    for _ in range(5):
        ladder.judged(0.9)
    assert ladder.level == LADDER[1]


def test_it_stands_where_it_stood_when_a_run_goes_on_also_on_a_longer_ladder() -> None:
    ladder = Ladder(LADDER[1:], gate=0.5)
    ladder.judged(1.0)
    again = Ladder(LADDER, gate=0.5)
    again.load_state_dict(ladder.state_dict())
    assert again.level == ladder.level == LADDER[2]


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(ValueError):
        Ladder(LADDER, gate=0.5).load_state_dict({"level": "paradise"})
