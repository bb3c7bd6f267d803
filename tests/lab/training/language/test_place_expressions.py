"""The largest, the leftmost, the second from the top: with a margin, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.language import place_expressions
from lab.training.language.view import ORDER_GAP, PLACE_GAP, View
from lab.training.world.holdout import Split
from lab.training.world.levels import LADDER
from lab.training.world.scenes import draw_clip
from tests.truth_of_words import Say, assert_true, readings

PLAIN = LADDER[0]


@pytest.fixture(scope="module")
def views() -> list[View]:
    seeds = [split.first_seed + n for split in (Split.TRAINING, Split.LOOK_ALIKES) for n in range(15)]
    return [View(draw_clip(seed, frames=1, size=(128, 128), level=LADDER[3]), 0) for seed in seeds]


@pytest.mark.parametrize("say", [place_expressions.size, place_expressions.place, place_expressions.ordinal])
def test_all_that_is_said_for_sure_is_true(views: list[View], say: Say) -> None:
    assert_true(say, views)


def test_the_extreme_leads_by_a_margin(views: list[View]) -> None:
    for view in views:
        for text, meaning in place_expressions.place(view, np.random.default_rng(0)):
            if meaning and text.endswith("thing on the left"):
                others = [i for i in view.seen if i not in meaning and "thing" in text.split()[1]]
                assert all(view.centres[i, 0] - view.centres[meaning[0], 0] >= PLACE_GAP for i in others)
    assert PLACE_GAP >= 0.1, "no left when two are within a tenth"


def test_a_row_is_told_apart_at_every_place(views: list[View]) -> None:
    for view in views:
        for text, meaning in place_expressions.ordinal(view, np.random.default_rng(0)):
            way, slots = next(readings(text))
            if meaning and way == "nth left" and slots["one"] in ("thing", "object", "one"):
                gaps = np.diff(np.sort(view.centres[list(view.seen), 0]))
                assert gaps.min() >= ORDER_GAP


def test_one_more_than_there_are_is_absent(views: list[View]) -> None:
    missing = {
        text.split()[1]
        for view in views
        for text, m in place_expressions.ordinal(view, np.random.default_rng(1))
        if m == ()
    }
    assert {"third", "fourth"} <= missing


def test_a_level_of_few_words_speaks_of_things_in_general() -> None:
    for seed in range(20):
        view = View(draw_clip(seed, frames=1, level=PLAIN), 0)
        assert all(
            text.startswith("the thing on the ")
            for text, _ in place_expressions.place(view, np.random.default_rng(0))
        )
