"""Noun phrases denote the objects that they match; in doubt where a barely visible one would match."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.language.frame_facts import FrameFacts
from lab.training.language.noun_phrases import (
    NounPhrase,
    filtered,
    near_misses,
    referents_of,
    superlative,
    unique,
    unique_nouns,
    visible_nouns,
)
from lab.training.scene_description import ObjectLabel
from lab.training.world.holdout import Split, vocabulary_of
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import draw_clip

WORLD = CURRICULUM[-1]
WORDS = vocabulary_of(WORLD, Split.TRAINING)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def all_facts() -> list[FrameFacts]:
    """Two seconds into a clip, when some objects are occluded or partly out of the image."""
    clips = [draw_clip(seed, frames=2, size=(128, 128), stride=60, level=WORLD) for seed in range(40)]
    return [FrameFacts(clip, 1) for clip in clips]


def test_a_noun_phrase_matches_labels_with_all_its_attributes() -> None:
    cup = ObjectLabel("cup", "red")
    matching = (NounPhrase(), NounPhrase("cup"), NounPhrase(None, "red"), NounPhrase("cup", "red"))
    assert all(noun.matches(cup) for noun in matching)
    others = (NounPhrase("dog"), NounPhrase(None, "blue"), NounPhrase("cup", "blue"))
    assert not any(noun.matches(cup) for noun in others)


def test_a_person_is_in_a_colour() -> None:
    assert NounPhrase("person", "black").singular(WORDS, RNG) == "person in black"
    assert NounPhrase("person", "white").plural(WORDS, RNG) == "people in white"
    assert NounPhrase("cup", "black").singular(WORDS, RNG) == "black cup"


def test_a_noun_phrase_that_matches_a_barely_visible_object_is_in_doubt(all_facts: list[FrameFacts]) -> None:
    doubtful = 0
    for facts in all_facts:
        for index in facts.barely_visible:
            assert referents_of(facts, NounPhrase(*facts.labels[index])) is None
            assert referents_of(facts, NounPhrase()) is None
            doubtful += 1
    assert doubtful > 5


def test_doubt_propagates() -> None:
    assert unique((1, 2)) is None and unique(None) is None and unique((1,)) == (1,) and unique(()) == ()
    assert filtered((1, 2), lambda index: None if index == 2 else True) is None
    assert filtered((1, 2), lambda index: index == 2) == (2,)
    assert filtered(None, lambda index: True) is None


def test_a_superlative_beats_all_others() -> None:
    size = {1: 10, 2: 11, 3: 30}

    def beats(one: int, other: int) -> bool | None:
        return True if size[one] > 2 * size[other] else None

    assert superlative((1, 2, 3), beats) == (3,)
    assert superlative((1, 2), beats) is None
    assert superlative((3,), beats) is None, "needs at least two"
    assert superlative(None, beats) is None


def test_unique_nouns_match_one_object(all_facts: list[FrameFacts]) -> None:
    for facts in all_facts:
        for noun, index in unique_nouns(facts, RNG):
            in_sight = (*facts.visible, *facts.barely_visible)
            assert [i for i in sorted(in_sight) if noun.matches(facts.labels[i])] == [index]


def test_visible_objects_are_named_in_every_way(all_facts: list[FrameFacts]) -> None:
    for facts in all_facts:
        nouns = set(visible_nouns(facts, RNG))
        for index in facts.visible:
            category, colour = facts.labels[index]
            names = {NounPhrase(), NounPhrase(category), NounPhrase(None, colour)}
            assert {*names, NounPhrase(category, colour)} <= nouns


def test_near_misses_match_nothing(all_facts: list[FrameFacts]) -> None:
    count = 0
    for facts in all_facts:
        in_sight = [facts.labels[index] for index in (*facts.visible, *facts.barely_visible)]
        for noun in near_misses(facts, RNG):
            assert not any(noun.matches(label) for label in in_sight)
            count += 1
    assert count > 100
