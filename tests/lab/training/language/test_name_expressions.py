"""Expressions by category and colour are true, and in doubt between objects of one label."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.language import name_expressions
from lab.training.language.frame_facts import FrameFacts
from lab.training.world.holdout import Split
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip
from tests.expression_semantics import Generate, assert_true


@pytest.fixture(scope="module")
def all_facts() -> list[FrameFacts]:
    seeds = [split.first_seed + n for split in (Split.TRAINING, Split.LOOK_ALIKES) for n in range(12)]
    return [FrameFacts(draw_clip(seed, frames=1, size=(128, 128), level=CURRICULUM[3]), 0) for seed in seeds]


@pytest.mark.parametrize(
    "generate",
    [
        name_expressions.colour,
        name_expressions.category,
        name_expressions.both,
        name_expressions.several,
        name_expressions.negation,
    ],
)
def test_candidates_without_doubt_are_true(all_facts: list[FrameFacts], generate: Generate) -> None:
    assert_true(generate, all_facts)


def test_a_name_of_two_objects_is_in_doubt(all_facts: list[FrameFacts]) -> None:
    doubtful = 0
    for facts in all_facts:
        for text, referents in name_expressions.both(facts, np.random.default_rng(0)):
            doubtful += referents is None
            assert referents is None or len(referents) < 2, text
    assert doubtful >= 8


def test_a_plural_has_no_or_at_least_two_referents(all_facts: list[FrameFacts]) -> None:
    for facts in all_facts:
        for text, referents in name_expressions.several(facts, np.random.default_rng(0)):
            assert referents is not None and len(referents) != 1, text
