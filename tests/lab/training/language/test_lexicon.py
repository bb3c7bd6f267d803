"""Laws of the words themselves."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lab.training.language.lexicon import WAYS, anything, plural, say, vocabulary, with_article
from lab.training.world.catalogue import KINDS
from lab.training.world.colours import COLOURS
from lab.training.world.levels import LADDER
from tests.truth_of_words import noun, readings

PLAIN = LADDER[0]

OPPOSITES = (
    ("left", "right"),
    ("top", "bottom"),
    ("above", "below"),
    ("larger", "smaller"),
    ("behind", "in front"),
)


def test_no_two_meanings_are_put_in_the_same_words() -> None:
    slots = {
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
    put = [way.format(**slots) for ways in WAYS.values() for way in ways]
    assert len(put) == len(set(put))


@pytest.mark.parametrize(("one", "other"), OPPOSITES)
def test_a_meaning_never_names_its_opposite(one: str, other: str) -> None:
    for meaning, ways in WAYS.items():
        for way in ways:
            if one in meaning and other not in meaning:
                assert not re.search(rf"\b{other}\b", way) or "size" in meaning, (meaning, way)


def test_the_narrowest_level_has_one_way_for_everything() -> None:
    rng = np.random.default_rng(0)
    said = {say("left", PLAIN, rng, one="thing") for _ in range(20)}
    assert said == {"the thing on the left"}
    assert len({say("left", LADDER[-1], rng, one="thing") for _ in range(60)}) == len(WAYS["left"])


def test_every_way_can_be_read_back() -> None:
    assert [meaning for meaning, _ in readings("the second red cup from the left")] == ["nth left"]
    assert [meaning for meaning, _ in readings("everything but the person in blue")] == ["all but"]
    assert not list(readings("the giraffe"))


def test_plurals_and_articles() -> None:
    assert [plural(kind) for kind in ("cup", "box", "fish", "person")] == ["cups", "boxes", "fish", "people"]
    assert [with_article(words) for words in ("orange cup", "red cup")] == ["an orange cup", "a red cup"]
    assert noun("people in red") is not None


def test_only_shapes_are_called_shapes() -> None:
    assert "shape" in anything(PLAIN)
    assert "shape" not in anything(LADDER[-1])


def test_the_vocabulary_holds_every_word_once() -> None:
    words = vocabulary()
    assert len(words) == len(set(words))
    assert {
        *COLOURS,
        *KINDS,
        "boxes",
        "people",
        "third",
        "behind",
        "everything",
        "?",
        "seven",
        "wear",
    } <= set(words)
    assert not [word for word in words if re.search(r"[{}]|\w[?.,]", word)]
