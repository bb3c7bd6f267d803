"""Laws of the curriculum."""

from __future__ import annotations

import pytest

from lab.training.curriculum import Curriculum
from lab.training.world.levels import CURRICULUM


def test_the_next_level_follows_when_the_score_reaches_the_threshold() -> None:
    curriculum = Curriculum(CURRICULUM, promotion_score=0.7)
    curriculum.update(0.69)
    assert curriculum.level == CURRICULUM[0]
    curriculum.update(0.7)
    assert curriculum.level == CURRICULUM[1]
    assert curriculum.remaining == CURRICULUM[1:]


def test_the_last_level_is_never_left() -> None:
    curriculum = Curriculum(CURRICULUM[:2], promotion_score=0.5)
    for _ in range(5):
        curriculum.update(0.9)
    assert curriculum.level == CURRICULUM[1]


def test_the_level_is_restored_by_its_name_among_more_levels() -> None:
    curriculum = Curriculum(CURRICULUM[1:], promotion_score=0.5)
    curriculum.update(1.0)
    restored = Curriculum(CURRICULUM, promotion_score=0.5)
    restored.load_state_dict(curriculum.state_dict())
    assert restored.level == curriculum.level == CURRICULUM[2]


def test_an_unknown_level_is_an_error() -> None:
    with pytest.raises(ValueError):
        Curriculum(CURRICULUM, promotion_score=0.5).load_state_dict({"level": "paradise"})
