"""Laws of facts about photographs: a name is used only where nothing that is there can be mistaken for it."""

from __future__ import annotations

import numpy as np

from lab.training.language.photo_facts import facts_about, has_sure_names
from lab.training.language.real_names import NOUNS
from tests.described_photos import Thing, described, facts_of

LEFT, RIGHT = (5, 30, 30, 70), (65, 30, 95, 70)
NOT_CARS = frozenset(("dog", "cat", "person"))


def test_a_noun_denotes_all_categories_of_its_group() -> None:
    facts = facts_of(described(Thing("dog", LEFT), Thing("cat", RIGHT), nouns=("animal",)))
    assert facts.matching("animal", None) == (0, 1)
    assert facts.matching("puppy", None) == (0,)


def test_what_may_be_called_so_puts_a_noun_in_doubt() -> None:
    assert facts_of(described(Thing("coat", LEFT), Thing("jacket", RIGHT))).matching("jacket", None) is None
    assert facts_of(described(Thing("coat", LEFT))).matching("jacket", None) is None
    assert facts_of(described(Thing("truck", LEFT))).matching("car", None) is None


def test_absent_is_only_what_is_annotated_exhaustively() -> None:
    dog = Thing("dog", LEFT)
    assert facts_of(described(dog)).matching("car", None) == ()
    assert facts_of(described(dog, known=NOT_CARS)).matching("car", None) is None
    assert facts_of(described(dog, known=NOT_CARS)).matching("animal", None) == (0,)
    assert facts_of(described(Thing("person", LEFT), known=NOT_CARS)).matching("animal", None) is None


def test_what_a_detector_saw_without_a_mask_is_neither_present_nor_absent() -> None:
    doubted = facts_of(described(Thing("dog", LEFT), doubted=frozenset(("dog", "car"))))
    assert doubted.matching("dog", None) is None
    assert doubted.matching("car", None) is None
    assert doubted.matching("pet", None) is None
    assert doubted.matching("cat", None) == ()


def test_things_that_are_often_left_unannotated_are_never_absent() -> None:
    facts = facts_of(described(Thing("dog", LEFT)))
    assert all(facts.matching(noun, None) != () for noun in ("table", "plant", "food", "clothes"))


def test_masks_of_several_objects_are_no_singular() -> None:
    facts = facts_of(described(Thing("sheep", LEFT, instance=False), Thing("dog", RIGHT)))
    assert facts.matching("sheep", None) is None
    assert facts.all_of("sheep", None) == (0,)


def test_a_pair_that_has_only_a_plural_may_be_one_mask() -> None:
    facts = facts_of(described(Thing("person", LEFT), Thing("shoes", LEFT, instance=False, wearer=0)))
    assert facts.matching("shoes", None) == (1,)


def test_small_objects_belong_to_all_of_them_but_make_singulars_doubtful() -> None:
    facts = facts_of(described(Thing("dog", LEFT), Thing("dog", (90, 90, 93, 93))))
    assert facts.matching("dog", None) is None
    assert facts.all_of("dog", None) == (0, 1)


def test_an_unknown_colour_is_neither_that_colour_nor_another() -> None:
    facts = facts_of(described(Thing("dog", LEFT, "black"), Thing("dog", RIGHT)))
    assert facts.matching("dog", "black") is None
    known = facts_of(described(Thing("dog", LEFT, "black"), Thing("dog", RIGHT, "white")))
    assert known.matching("dog", "black") == (0,)
    assert known.matching("dog", "brown") == ()


def test_names_are_of_nouns_that_may_be_used_with_colours_that_are_there() -> None:
    scene = described(Thing("dog", LEFT, "black"), Thing("cat", RIGHT), nouns=("puppy", "cat", "horse"))
    assert facts_of(scene).visible_names == (("puppy", None), ("puppy", "black"), ("cat", None))


def test_missing_names_match_nothing_without_doubt() -> None:
    scene = described(Thing("dog", LEFT, "black"), Thing("truck", RIGHT), nouns=("dog", "car", "horse"))
    facts = facts_of(scene)
    for seed in range(10):
        names = facts.missing_names(np.random.default_rng(seed))
        assert ("horse", None) in names
        assert all(facts.matching(*name) == () for name in names)
        assert all(noun != "car" for noun, _ in names)
        assert not {colour for _, colour in names} & {"purple", "pink", "blue"}, "of animals"


def test_clothes_are_of_the_person_who_wears_them() -> None:
    scene = described(
        Thing("person", (5, 10, 40, 90)),
        Thing("person", (60, 10, 95, 90)),
        Thing("jacket", (10, 20, 35, 50), "red", wearer=0),
        Thing("coat", (65, 20, 90, 50), "blue", wearer=1),
    )
    facts = facts_of(scene)
    assert facts.wears(0, "jacket", "red") is True
    assert facts.wears(0, "jacket", "blue") is False
    assert facts.wears(1, "jacket", "red") is False
    assert facts.wears(1, "jacket", "blue") is None, "a coat may be called a jacket"
    assert facts.wears(0, "hat", None) is False


def test_of_people_without_annotated_clothes_nothing_is_known() -> None:
    scene = described(Thing("dog", LEFT), Thing("person", RIGHT))
    assert facts_of(scene).wears(0, "hat", None) is None


def test_a_garment_out_of_the_crop_is_in_doubt() -> None:
    scene = described(Thing("person", LEFT), Thing("boots", (0, 0, 0, 0), wearer=0))
    assert facts_of(scene).wears(0, "boots", None) is None


def test_overlapping_things_are_not_beside_each_other() -> None:
    facts = facts_of(described(Thing("dining table", (0, 40, 100, 100)), Thing("cup", (10, 30, 20, 45))))
    assert facts.is_before(1, 0, 0) is None
    assert facts.is_before(1, 0, 1) is None
    assert facts.is_behind(0, 1) is None


def test_countable_things_are_no_parts_of_others() -> None:
    scene = described(
        Thing("person", LEFT),
        Thing("bag", (10, 40, 20, 60), wearer=0),
        Thing("scissors", RIGHT),
        nouns=("person", "bag", "scissors", "dog"),
    )
    assert facts_of(scene).countable().nouns == ("person", "dog")


def test_every_noun_can_be_looked_up() -> None:
    facts = facts_of(described(Thing("dog", LEFT, "black")))
    for noun in NOUNS:
        assert facts.matching(noun, None) in ((), (0,), None)


def test_facts_are_those_of_the_kind_of_scene() -> None:
    scene = described(Thing("dog", LEFT), nouns=("dog",))
    assert facts_about(scene, 0).matching("dog", None) == (0,)
    assert has_sure_names(scene)
    assert not has_sure_names(described(Thing("dog", LEFT), nouns=("dog",), doubted=frozenset(("dog",))))
