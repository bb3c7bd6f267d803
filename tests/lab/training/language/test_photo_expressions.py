"""Laws of expressions about photographs."""

from __future__ import annotations

import numpy as np

from lab.training.language.captions import generate_caption
from lab.training.language.expressions import generate_expressions
from lab.training.language.photo_expressions import clothing, ordinal, place, plural, relation
from lab.training.language.questions import generate_questions
from lab.training.scene_description import PhotoDescription
from tests.described_photos import Thing, described, facts_of

PERSON, OTHER = (5, 10, 40, 90), (60, 10, 95, 90)
TWO_PEOPLE = (
    Thing("person", PERSON, "red"),
    Thing("person", OTHER, "blue"),
    Thing("jacket", (10, 20, 35, 50), "red", wearer=0),
    Thing("dress", (65, 20, 90, 70), "blue", wearer=1),
    Thing("bag", (88, 50, 95, 65), "black", wearer=1),
)
THREE_DOGS = tuple(Thing("dog", (x, 30, x + 15, 60), "black") for x in (5, 42, 80))


def said(generate, scene: PhotoDescription, seeds: int = 30) -> dict[str, set]:
    """Everything that is said of a scene without doubt, and of what."""
    found: dict[str, set] = {}
    for seed in range(seeds):
        for text, referents in generate(facts_of(scene), np.random.default_rng(seed)):
            if referents is not None:
                found.setdefault(text, set()).add(referents)
    return found


def test_people_are_told_apart_by_their_clothes() -> None:
    found = said(clothing, described(*TWO_PEOPLE, nouns=("person", "jacket", "dress")))
    assert found["the person in the red jacket"] == {(0,)}
    assert found["the person wearing a blue dress"] == {(1,)}
    assert found["the person with a black bag"] == {(1,)}
    assert () in found.get("the person in the blue jacket", {()})
    assert all(len(referents) == 1 for referents in found.values())
    assert any(referents == {()} for referents in found.values())


def test_of_one_person_whose_clothes_are_unknown_no_clothes_are_told() -> None:
    scene = described(Thing("person", PERSON), Thing("dog", OTHER), nouns=("person",))
    assert not said(clothing, scene)


def test_places_are_of_several_of_the_middle_and_of_single_objects() -> None:
    dogs = said(place, described(*THREE_DOGS, nouns=("dog",)))
    assert dogs["the dog in the middle"] == {(1,)}
    assert dogs["the leftmost dog"] == {(0,)}
    single = said(place, described(Thing("dog", (5, 30, 30, 70)), nouns=("dog",)))
    assert single["the dog on the left"] == {(0,)}
    assert not any("right" in text for text in single)


def test_plurals_hold_masks_of_several_objects_and_numbers_do_not() -> None:
    flock = (Thing("sheep", PERSON, instance=False), Thing("sheep", OTHER))
    found = said(plural, described(*flock, nouns=("sheep",)))
    assert found["all sheep"] == {(0, 1)}
    assert not any(word in text for text in found for word in ("both", "two", "pair"))
    dogs = said(plural, described(*THREE_DOGS, nouns=("dog",)))
    assert dogs["the three dogs"] == {(0, 1, 2)}


def test_words_without_a_singular_are_not_counted_one_by_one() -> None:
    scene = described(
        Thing("person", PERSON), Thing("shoes", (10, 80, 30, 90), "black", wearer=0), nouns=("shoes",)
    )
    found = said(plural, scene)
    assert found
    assert not any(text.startswith(("each", "every")) for text in found)


def test_ordinals_and_relations_are_of_things_that_are_no_parts() -> None:
    scene = described(*TWO_PEOPLE, nouns=("person", "bag"))
    assert said(ordinal, scene)["the second person from the left"] == {(1,)}
    assert not any("bag" in text for text in said(relation, scene))


def test_no_expression_is_about_a_doubted_name() -> None:
    scene = described(*THREE_DOGS, nouns=("dog", "puppy", "animal", "cat"), doubted=frozenset(("dog",)))
    for seed in range(20):
        for expression in generate_expressions(scene, 0, np.random.default_rng(seed)):
            assert not {"dog", "puppy", "animal", "dogs"} & set(expression.text.split()), expression


def test_a_kind_has_no_more_absent_expressions_than_present_ones() -> None:
    scene = described(*TWO_PEOPLE, nouns=("person", "jacket", "dog", "horse", "car"))
    for seed in range(20):
        found = generate_expressions(scene, 0, np.random.default_rng(seed))
        for kind in {expression.kind for expression in found} - {"kind"}:
            of_kind = [expression for expression in found if expression.kind == kind]
            absent = sum(not expression.referents for expression in of_kind)
            assert absent <= max(len(of_kind) - absent, 1)


def test_questions_and_captions_are_of_what_is_sure() -> None:
    scene = described(*TWO_PEOPLE, Thing("dog", (45, 70, 58, 95)), nouns=("person", "dog", "bag", "jacket"))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for question in generate_questions(scene, 0, rng):
            assert question.answer
            assert "bag" not in question.text
        caption = generate_caption(scene, 0, rng)
        assert caption is not None
        for phrase in caption.phrases:
            assert phrase.referents in ((0,), (1,), (5,), (0, 1)), phrase


def test_an_unknown_colour_is_not_asked_for() -> None:
    scene = described(Thing("dog", PERSON), nouns=("dog",))
    for seed in range(10):
        kinds = {question.kind for question in generate_questions(scene, 0, np.random.default_rng(seed))}
        assert "colour" not in kinds
