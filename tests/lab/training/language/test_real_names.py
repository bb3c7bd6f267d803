"""Laws of the names of real things."""

from __future__ import annotations

from lab.training.language.lexicon import plural
from lab.training.language.real_names import (
    GROUPS_OF,
    NOUNS,
    NOUNS_OF,
    REAL_CATEGORIES,
    canonical,
    people_nouns,
)


def test_every_category_has_nouns_that_denote_it() -> None:
    for category in REAL_CATEGORIES:
        for noun in (*NOUNS_OF[category], *GROUPS_OF[category]):
            assert category in NOUNS[noun].certain
            assert not NOUNS[noun].certain & NOUNS[noun].doubtful


def test_nouns_denote_only_categories_that_there_are() -> None:
    for noun, meaning in NOUNS.items():
        assert meaning.categories <= set(REAL_CATEGORIES), noun


def test_annotated_names_are_brought_to_ours() -> None:
    assert canonical("airplane") == "plane"
    assert canonical("dog") == "dog"
    assert canonical("skin") is None


def test_groups_and_synonyms_are_of_their_categories() -> None:
    assert GROUPS_OF["cat"] == ("animal", "pet")
    assert NOUNS["sofa"].certain == {"couch"}
    assert {"coat", "cardigan"} <= NOUNS["jacket"].doubtful
    assert "truck" in NOUNS["taxi"].doubtful


def test_plurals_are_those_of_english() -> None:
    said = {"puppy": "puppies", "bus": "buses", "couch": "couches", "toy": "toys", "kid": "kids"}
    said |= {"woman": "women", "knife": "knives", "sheep": "sheep", "jeans": "jeans", "taxi": "taxis"}
    assert {noun: plural(noun) for noun in said} == said


def test_of_several_people_none_is_called_a_man_or_a_woman() -> None:
    assert not people_nouns(frozenset(), alone=False)
    assert "man" in people_nouns(frozenset(), alone=True)
    worn = people_nouns(frozenset(("dress", "bag")), alone=True)
    assert "woman" in worn and "man" not in worn
