"""Laws of the names of everything that nano may be asked for."""

from __future__ import annotations

from lab.training.language.real_names import REAL_CATEGORIES
from lab.training.names import NAMES
from lab.training.world.catalogue import CATEGORIES


def test_names_of_the_drawn_world_come_first_and_each_name_once() -> None:
    assert NAMES[: len(CATEGORIES)] == CATEGORIES
    assert len(set(NAMES)) == len(NAMES)
    assert set(REAL_CATEGORIES) <= set(NAMES)
