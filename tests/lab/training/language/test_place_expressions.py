"""Size, place and ordinal hold with the documented margins, or are in doubt."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.language import place_expressions
from lab.training.language.frame_facts import ORDINAL_MARGIN, PLACE_MARGIN, FrameFacts
from lab.training.world.holdout import Split
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip
from tests.expression_semantics import Generate, assert_true, parses

PLAIN = CURRICULUM[0]


@pytest.fixture(scope="module")
def all_facts() -> list[FrameFacts]:
    seeds = [split.first_seed + n for split in (Split.TRAINING, Split.LOOK_ALIKES) for n in range(15)]
    return [FrameFacts(draw_clip(seed, frames=1, size=(128, 128), level=CURRICULUM[3]), 0) for seed in seeds]


@pytest.mark.parametrize(
    "generate", [place_expressions.size, place_expressions.place, place_expressions.ordinal]
)
def test_candidates_without_doubt_are_true(all_facts: list[FrameFacts], generate: Generate) -> None:
    assert_true(generate, all_facts)


def test_the_leftmost_object_leads_by_the_margin(all_facts: list[FrameFacts]) -> None:
    for facts in all_facts:
        for text, referents in place_expressions.place(facts, np.random.default_rng(0)):
            if referents and text.endswith("thing on the left"):
                others = [i for i in facts.visible if i not in referents and "thing" in text.split()[1]]
                left = facts.visible_centres[referents[0], 0]
                assert all(facts.visible_centres[i, 0] - left >= PLACE_MARGIN for i in others)
    assert PLACE_MARGIN >= 0.1


def test_neighbours_in_a_counted_row_are_apart_by_the_margin(all_facts: list[FrameFacts]) -> None:
    for facts in all_facts:
        for text, referents in place_expressions.ordinal(facts, np.random.default_rng(0)):
            meaning, fields = next(parses(text))
            if referents and meaning == "nth left" and fields["one"] in ("thing", "object", "one"):
                gaps = np.diff(np.sort(facts.visible_centres[list(facts.visible), 0]))
                assert gaps.min() >= ORDINAL_MARGIN


def test_the_ordinal_after_the_last_is_absent(all_facts: list[FrameFacts]) -> None:
    missing = {
        text.split()[1]
        for facts in all_facts
        for text, referents in place_expressions.ordinal(facts, np.random.default_rng(1))
        if referents == ()
    }
    assert {"third", "fourth"} <= missing


def test_with_one_template_per_meaning_place_is_of_the_generic_noun_alone() -> None:
    for seed in range(20):
        facts = FrameFacts(draw_clip(seed, frames=1, level=PLAIN), 0)
        texts = [text for text, _ in place_expressions.place(facts, np.random.default_rng(0))]
        assert all(text.startswith("the thing on the ") for text in texts)
