"""Laws of the nouns that texts about a photograph may use."""

from __future__ import annotations

from collections import Counter

import numpy as np

from lab.training.language.lexicon import PEOPLE
from lab.training.language.photo_nouns import choose_nouns, rename_person
from lab.training.language.real_names import NOUNS
from lab.training.scene_description import PhotoDescription
from tests.described_photos import Thing, described

LEFT, RIGHT = (5, 10, 40, 90), (60, 10, 95, 90)


def chosen(scene: PhotoDescription, absent: tuple[str, ...] = ()) -> Counter[str]:
    """How often each noun is chosen of 300 times."""
    return Counter(
        noun for seed in range(300) for noun in choose_nouns(scene, absent, np.random.default_rng(seed))
    )


def test_everything_in_view_has_a_noun_mostly_the_plainest() -> None:
    found = chosen(described(Thing("couch", LEFT)))
    assert found["couch"] > found["sofa"] > 50
    assert found["furniture"] > 50
    assert all("couch" in NOUNS[noun].certain for noun in found)


def test_a_person_alone_may_be_a_man_or_a_woman_several_are_people() -> None:
    alone = chosen(described(Thing("person", LEFT)))
    assert alone["man"] and alone["woman"] and alone["person"] > 200
    assert set(chosen(described(Thing("person", LEFT), Thing("person", RIGHT)))) == {"person"}


def test_a_person_in_a_dress_is_no_man() -> None:
    found = chosen(described(Thing("person", LEFT), Thing("dress", (10, 20, 30, 80), wearer=0)))
    assert found["woman"] and not found["man"] and not found["boy"]


def test_absent_names_are_of_other_categories() -> None:
    found = chosen(described(Thing("person", LEFT)), absent=("dog", "person"))
    assert found["dog"] and found["puppy"] and found["animal"]
    several = described(Thing("person", LEFT), Thing("person", RIGHT))
    assert not set(chosen(several, absent=("person",))) & set(PEOPLE)


def test_a_person_that_other_words_tell_may_be_a_man_or_a_woman() -> None:
    dressed = described(
        Thing("person", LEFT), Thing("person", RIGHT), Thing("skirt", (65, 20, 90, 80), wearer=1)
    )
    left = "the person on the left"
    generators = [np.random.default_rng(seed) for seed in range(99)]
    texts = [{rename_person(left, dressed, person, rng) for rng in generators} for person in (0, 1)]
    assert {"the person on the left", "the man on the left", "the woman on the left"} <= texts[0]
    assert "the woman on the left" in texts[1] and "the man on the left" not in texts[1]
    assert rename_person("the dog", described(Thing("dog", LEFT)), 0, np.random.default_rng(0)) == "the dog"
