"""Words that name several things are split where there is no doubt."""

from __future__ import annotations

import pytest

from engines.grounding.conjunction import MAX_THINGS, may_name_several, things_in


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("the red car and the dog", ["the red car", "the dog"]),
        ("the red car,  the dog, and a cat", ["the red car", "the dog", "a cat"]),
        ("the red car, the dog", ["the red car", "the dog"]),
        ("The car; the dog", ["The car", "the dog"]),
        ("a cat & the mouse", ["a cat", "the mouse"]),
        ("the dogs as well as the car", ["the dogs", "the car"]),
        ("both the car and the dog", ["the car", "the dog"]),
        ("the moving car and the building", ["the moving car", "the building"]),
        ("the person on the left and the dog", ["the person on the left", "the dog"]),
        ("the dog and the man with the hat", ["the dog", "the man with the hat"]),
        ("the person in red and that dog", ["the person in red", "that dog"]),
    ],
)
def test_things_with_a_determiner_each_are_asked_for_one_by_one(text: str, things: list[str]) -> None:
    assert things_in(text) == things


@pytest.mark.parametrize(
    ("text", "is_remarked"),
    [
        ("the black and white dog", True),
        ("the man with the hat and the bag", True),
        ("the woman holding the cup and the phone", True),
        ("the man who has the hat and the dog", True),
        ("red car and dog", True),
        ("das Auto und der Hund", True),
        ("红车和狗", True),
        ("the cup between the plate and the fork", False),
        ("the man, the one in red", False),
        ("the dog, the brown one", False),
        ("the people, all in red", False),
        ("the red and the blue car", True),
        ("the left and the right door", True),
        ("the first, the second and the third person", True),
        ("the largest and the smallest dog", True),
        ("the man, who runs", False),
        ("the sandy island", False),
    ],
)
def test_words_that_may_name_one_thing_stay_whole(text: str, is_remarked: bool) -> None:
    assert things_in(text) == [text]
    assert may_name_several(text) is is_remarked


def test_the_number_of_things_is_bounded() -> None:
    text = " and ".join(f"the car {number}" for number in range(20))
    things = things_in(text)
    assert len(things) == MAX_THINGS
    assert things[-1].endswith("the car 19")
