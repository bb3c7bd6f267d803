"""Who plays: known combinations in training, held-out ones and look-alikes only in their own sets."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from lab.training.world.casting import cast
from lab.training.world.catalogue import NAMELESS, Thing
from lab.training.world.holdout import Split, is_held_out
from lab.training.world.levels import LADDER, STRANGERS, Level

PLAIN = LADDER[0]

WORLD = LADDER[-1]


def casts(split: Split, level: Level = WORLD, count: int = 200) -> list[list[Thing]]:
    rng = np.random.default_rng(0)
    return [cast(level, split, rng) for _ in range(count)]


@pytest.mark.parametrize("split", [Split.TRAINING, Split.UNSEEN, Split.LOOK_ALIKES])
@pytest.mark.parametrize("level", LADDER, ids=lambda level: level.name)
def test_held_out_combinations_never_play(split: Split, level: Level) -> None:
    assert not any(is_held_out(thing) for things in casts(split, level) for thing in things)


@pytest.mark.parametrize("split", [Split.TRAINING, Split.UNSEEN, Split.COMBINATIONS])
def test_no_two_are_alike(split: Split) -> None:
    assert all(len(set(things)) == len(things) for things in casts(split))


def test_in_their_own_set_they_do() -> None:
    for level in LADDER:
        for things in casts(Split.COMBINATIONS, level):
            assert sum(is_held_out(thing) for thing in things) >= min(len(things) / 2, 3)


def test_look_alikes_come_as_two_or_more() -> None:
    for level in LADDER:
        for things in casts(Split.LOOK_ALIKES, level):
            assert max(Counter(things).values()) >= 2
            assert len(things) <= max(level.things[1], 2)


def test_as_many_play_as_the_level_has() -> None:
    sizes = Counter(len(things) for things in casts(Split.TRAINING, count=400))
    assert set(sizes) == set(range(1, 9))
    assert min(sizes.values()) > 20


def test_strangers_play_where_the_level_has_them() -> None:
    things = [thing for cast_ in casts(Split.TRAINING, STRANGERS) for thing in cast_]
    assert things.count(NAMELESS) / len(things) == pytest.approx(STRANGERS.strange, abs=0.05)
    assert not any(NAMELESS in cast_ for cast_ in casts(Split.TRAINING))


def test_kin_play_together_where_the_level_wants_it() -> None:
    def shared(level: Level) -> float:
        pairs = [(a, b) for things in casts(Split.TRAINING, level) for a, b in itertools.pairwise(things)]
        return float(np.mean([a.kind == b.kind or a.colour == b.colour for a, b in pairs]))

    assert shared(WORLD) > 2 * (1 / len(WORLD.kinds) + 1 / len(WORLD.colours))
    assert PLAIN.kinship == 0
