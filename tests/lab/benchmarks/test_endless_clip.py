"""The film without an end, and that ours holds no more of it than at first."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from types import FunctionType, MethodType, ModuleType

import numpy as np
import pytest

from lab.benchmarks.endless_clip import EndlessFilm, OurFollower
from lab.training.world.holdout import Split
from lab.training.world.scenes import draw_clip
from tests.colour_sam import ColourSam

NOT_COUNTED = (type, ModuleType, FunctionType, MethodType, int)
"Classes, code, and numbers, of which Python shares the small ones."


@pytest.fixture(scope="module")
def film() -> EndlessFilm:
    return EndlessFilm(draw_clip(Split.UNSEEN.first_seed + 1, frames=4, size=(64, 64)))


def held(thing: object) -> tuple[int, int]:
    """Objects that can be reached from it, and the bytes of its arrays."""
    seen: dict[int, object] = {}
    waiting: list[object] = [thing]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, NOT_COUNTED):
            seen[id(one)] = one
            waiting += gc.get_referents(one)
    arrays: Iterable[np.ndarray] = (one for one in seen.values() if isinstance(one, np.ndarray))
    return len(seen), sum(one.nbytes for one in arrays)


def test_the_film_goes_forwards_and_backwards_without_a_jump(film: EndlessFilm) -> None:
    pictures = [film.picture(index) for index in range(7)]
    for index, twin in {4: 2, 5: 1, 6: 0}.items():
        np.testing.assert_array_equal(pictures[index], pictures[twin])
    np.testing.assert_array_equal(film.picture(6 * 1000 + 2), pictures[2])


def test_objects_come_and_go_and_only_so_many_are_there(film: EndlessFilm) -> None:
    follower = OurFollower(ColourSam().compiled(), film, objects=2, change_every=3)
    for index in range(30):
        follower.step(index)
    followed = follower.tracker._followed
    assert {one.query_id for one in followed} == {"q000008", "q000009"}
    assert follower.tracker.counts.refused_objects == 0


def test_what_a_tracker_holds_stops_growing(film: EndlessFilm) -> None:
    """Exactly: after every known query has been forgotten once, as many objects and bytes, for ever."""
    follower = OurFollower(ColourSam().compiled(), film, objects=2, change_every=2)
    lap, sizes = 600, []
    for index in range(2 * lap + 1):
        follower.step(index)
        if index in (lap, 2 * lap):
            sizes.append(held(follower.tracker))
    assert sizes[0] == sizes[1]
