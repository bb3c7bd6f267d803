"""Names mean what they fit, and nothing is said where someone could be in doubt."""

from __future__ import annotations

import numpy as np
import pytest

from lab.training.language.nouns import (
    Noun,
    extreme,
    filtered,
    meant,
    near_misses,
    nouns_there,
    single,
    unique_names,
)
from lab.training.language.view import View
from lab.training.world.catalogue import Thing
from lab.training.world.levels import LADDER
from lab.training.world.scenes import draw_clip

WORLD = LADDER[-1]
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def views() -> list[View]:
    """Two seconds into their scenes, when some things are hidden or half gone."""
    return [View(draw_clip(seed, frames=2, size=(128, 128), stride=60, level=WORLD), 1) for seed in range(40)]


def test_a_name_fits_what_has_all_that_it_says() -> None:
    cup = Thing("cup", "red")
    assert all(noun.fits(cup) for noun in (Noun(), Noun("cup"), Noun(None, "red"), Noun("cup", "red")))
    assert not any(noun.fits(cup) for noun in (Noun("dog"), Noun(None, "blue"), Noun("cup", "blue")))


def test_people_are_in_a_colour_not_of_it() -> None:
    assert Noun("person", "black").one(WORLD, RNG) == "person in black"
    assert Noun("person", "white").many(WORLD, RNG) == "people in white"
    assert Noun("cup", "black").one(WORLD, RNG) == "black cup"


def test_a_name_that_fits_something_hardly_seen_is_in_doubt(views: list[View]) -> None:
    doubted = 0
    for view in views:
        for index in view.doubtful:
            thing = view.things[index]
            assert meant(view, Noun(thing.kind, thing.colour)) is None
            assert meant(view, Noun()) is None
            doubted += 1
    assert doubted > 5


def test_doubt_spreads() -> None:
    assert single((1, 2)) is None and single(None) is None and single((1,)) == (1,) and single(()) == ()
    assert filtered((1, 2), lambda index: None if index == 2 else True) is None
    assert filtered((1, 2), lambda index: index == 2) == (2,)
    assert filtered(None, lambda index: True) is None


def test_the_extreme_beats_all_others() -> None:
    size = {1: 10, 2: 11, 3: 30}

    def beats(one: int, other: int) -> bool | None:
        return True if size[one] > 2 * size[other] else None

    assert extreme((1, 2, 3), beats) == (3,)
    assert extreme((1, 2), beats) is None
    assert extreme((3,), beats) is None, "one alone is no extreme"
    assert extreme(None, beats) is None


def test_unique_names_mean_one_thing(views: list[View]) -> None:
    for view in views:
        for noun, index in unique_names(view, RNG):
            assert [
                i
                for i, thing in enumerate(view.things)
                if noun.fits(thing) and i in (*view.seen, *view.doubtful)
            ] == [index]


def test_what_is_there_is_named_in_every_way(views: list[View]) -> None:
    for view in views:
        nouns = set(nouns_there(view, RNG))
        for index in view.seen:
            thing = view.things[index]
            assert {
                Noun(),
                Noun(thing.kind),
                Noun(None, thing.colour),
                Noun(thing.kind, thing.colour),
            } <= nouns


def test_near_misses_are_not_there(views: list[View]) -> None:
    count = 0
    for view in views:
        for noun in near_misses(view, RNG):
            assert not any(noun.fits(view.things[index]) for index in (*view.seen, *view.doubtful))
            count += 1
    assert count > 100
