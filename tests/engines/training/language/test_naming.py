"""Names, several at once, and all but some: each is as certain as its things are."""

from __future__ import annotations

import numpy as np
import pytest

from engines.training.language import naming
from engines.training.language.view import View
from engines.training.world.holdout import Split
from engines.training.world.levels import LADDER
from engines.training.world.scenes import draw_clip
from tests.truth_of_words import Say, assert_true


@pytest.fixture(scope="module")
def views() -> list[View]:
    seeds = [split.first_seed + n for split in (Split.TRAINING, Split.LOOK_ALIKES) for n in range(12)]
    return [View(draw_clip(seed, frames=1, size=(128, 128), level=LADDER[3]), 0) for seed in seeds]


@pytest.mark.parametrize("say", [naming.colour, naming.kind, naming.both, naming.several, naming.negation])
def test_all_that_is_said_for_sure_is_true(views: list[View], say: Say) -> None:
    assert_true(say, views)


def test_look_alikes_cannot_be_told_apart_by_name(views: list[View]) -> None:
    doubted = 0
    for view in views:
        for text, meaning in naming.both(view, np.random.default_rng(0)):
            doubted += meaning is None
            assert meaning is None or len(meaning) < 2, text
    assert doubted >= 8


def test_several_are_two_or_more(views: list[View]) -> None:
    for view in views:
        for text, meaning in naming.several(view, np.random.default_rng(0)):
            assert meaning is not None and len(meaning) != 1, text
