from __future__ import annotations

from lab.training.language.real_names import REAL_CATEGORIES
from lab.training.names import NAMES
from lab.training.world.catalogue import CATEGORIES


def test_drawn_categories_come_first_in_their_order_and_each_name_once() -> None:
    assert NAMES[: len(CATEGORIES)] == CATEGORIES
    assert len(set(NAMES)) == len(NAMES)
    assert set(NAMES) == {*CATEGORIES, *REAL_CATEGORIES}
