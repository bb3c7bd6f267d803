"""Names, several at once, and all but some: each is as certain as its things are."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.language import name_expressions
from lab.training.language.view import View
from lab.training.world.holdout import Split
from lab.training.world.levels import LADDER
from lab.training.world.scenes import draw_clip
from tests.truth_of_words import Say, assert_true


@pytest.fixture(scope="module")
def views() -> list[View]:
    seeds = [split.first_seed + n for split in (Split.TRAINING, Split.LOOK_ALIKES) for n in range(12)]
    return [View(draw_clip(seed, frames=1, size=(128, 128), level=LADDER[3]), 0) for seed in seeds]


@pytest.mark.parametrize(
    "say",
    [
        name_expressions.colour,
        name_expressions.kind,
        name_expressions.both,
        name_expressions.several,
        name_expressions.negation,
    ],
)
def test_all_that_is_said_for_sure_is_true(views: list[View], say: Say) -> None:
    assert_true(say, views)


def test_look_alikes_cannot_be_told_apart_by_name(views: list[View]) -> None:
    doubted = 0
    for view in views:
        for text, meaning in name_expressions.both(view, np.random.default_rng(0)):
            doubted += meaning is None
            assert meaning is None or len(meaning) < 2, text
    assert doubted >= 8


def test_several_are_two_or_more(views: list[View]) -> None:
    for view in views:
        for text, meaning in name_expressions.several(view, np.random.default_rng(0)):
            assert meaning is not None and len(meaning) != 1, text
