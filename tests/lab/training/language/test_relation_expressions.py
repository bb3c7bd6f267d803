"""Beside, before, behind: of one thing alone, or of none, or not said."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from lab.training.language.relation_expressions import RELATIONS, relation
from lab.training.language.view import View
from lab.training.world.holdout import Split
from lab.training.world.levels import LADDER
from lab.training.world.scenes import draw_clip
from tests.truth_of_words import judged, readings


@pytest.fixture(scope="module")
def views() -> list[View]:
    seeds = [split.first_seed + n for split in (Split.TRAINING, Split.LOOK_ALIKES) for n in range(30)]
    return [View(draw_clip(seed, frames=1, size=(128, 128), level=LADDER[-1]), 0) for seed in seeds]


def test_all_that_is_said_for_sure_is_true(views: list[View]) -> None:
    said: Counter[str] = Counter()
    for view in views:
        for text, meaning in relation(view, np.random.default_rng(0)):
            if meaning is not None:
                assert judged(text, view.clip, 0) == {meaning}, text
                said[f"{next(readings(text))[0]} {bool(meaning)}"] += 1
    for way in RELATIONS:
        assert said[f"{way} True"] > 5 and said[f"{way} False"] > 5, (way, said)
    assert (
        sum(said[f"{size} {side} True"] for size in ("larger", "smaller") for side in ("left", "right")) > 5
    )


def test_nothing_is_set_in_relation_to_itself(views: list[View]) -> None:
    for view in views:
        for text, _ in relation(view, np.random.default_rng(0)):
            way, slots = next(readings(text))
            if way in RELATIONS and slots["one"] not in ("thing", "object", "one"):
                assert f"the {slots['one']}" != slots["other"]
