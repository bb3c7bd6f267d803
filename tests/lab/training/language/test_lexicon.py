"""Templates are unambiguous, can be parsed, and consist of the words of the vocabulary."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lab.training.language.lexicon import (
    TEMPLATES,
    all_words,
    generic_nouns,
    plural,
    realise,
    with_article,
)
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS
from lab.training.world.holdout import Split, vocabulary_of
from lab.training.world.levels import CURRICULUM
from tests.expression_semantics import parse_noun_phrase, parses

FEWEST_WORDS, ALL_WORDS = (vocabulary_of(CURRICULUM[level], Split.TRAINING) for level in (0, -1))

OPPOSITES = (
    ("left", "right"),
    ("top", "bottom"),
    ("above", "below"),
    ("larger", "smaller"),
    ("behind", "in front"),
)


def test_no_two_meanings_have_the_same_text() -> None:
    fields = {
        "one": "red cup",
        "many": "red cups",
        "other": "the blue dog",
        "another": "the star",
        "number": "three",
        "nth": "second",
        "colour": "green",
        "a": "a cup",
        "list": "a cup",
        "first": "the cup",
        "second": "a dog",
    }
    texts = [template.format(**fields) for templates in TEMPLATES.values() for template in templates]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_no_template_contains_the_opposite_of_its_meaning(one: str, other: str) -> None:
    for meaning, templates in TEMPLATES.items():
        for template in templates:
            if one in meaning and other not in meaning:
                assert not re.search(rf"\b{other}\b", template) or "size" in meaning, (meaning, template)


def test_the_vocabulary_limits_the_templates_of_a_meaning() -> None:
    rng = np.random.default_rng(0)
    assert {realise("left", FEWEST_WORDS, rng, one="thing") for _ in range(20)} == {"the thing on the left"}
    texts = {realise("left", ALL_WORDS, rng, one="thing") for _ in range(60)}
    assert len(texts) == len(TEMPLATES["left"])


def test_texts_can_be_parsed() -> None:
    assert [meaning for meaning, _ in parses("the second red cup from the left")] == ["nth left"]
    assert [meaning for meaning, _ in parses("everything but the person in blue")] == ["all but"]
    assert not list(parses("the giraffe"))


def test_plurals_and_articles() -> None:
    assert [plural(name) for name in ("cup", "box", "fish", "person")] == ["cups", "boxes", "fish", "people"]
    assert [with_article(words) for words in ("orange cup", "red cup")] == ["an orange cup", "a red cup"]
    assert parse_noun_phrase("people in red") is not None


def test_only_shapes_are_called_shapes() -> None:
    assert "shape" in generic_nouns(FEWEST_WORDS)
    assert "shape" not in generic_nouns(ALL_WORDS)


def test_the_word_list_has_every_word_once() -> None:
    words = all_words(CATEGORIES, COLOURS)
    assert len(words) == len(set(words))
    expected = {"boxes", "people", "third", "behind", "everything", "?", "seven", "wear"}
    assert {*COLOURS, *CATEGORIES, *expected} <= set(words)
    assert not [word for word in words if re.search(r"[{}]|\w[?.,]", word)]
