"""Which things a scene is about."""

from __future__ import annotations

import numpy as np

from engines.training.world.holdout import Split, is_held_out
from engines.training.world.levels import Level
from engines.training.world.things import Thing


def cast(level: Level, split: Split, rng: np.random.Generator) -> list[Thing]:
    """Different things, as many as the level allows; among look-alikes, some are the same."""
    everything = [Thing(kind, colour) for colour in level.colours for kind in level.kinds]
    known = [thing for thing in everything if not is_held_out(thing)]
    count = int(rng.integers(level.things[0], level.things[1] + 1))
    things: list[Thing] = []
    if split is Split.COMBINATIONS:
        held_out = [thing for thing in everything if is_held_out(thing)]
        _add(things, held_out, (count + 1) // 2, level.kinship, rng)
    _add(things, known, count - len(things), level.kinship, rng)
    if split is Split.LOOK_ALIKES:
        things = [*things[: max(count - int(rng.integers(1, 3)), 1)]]
        things += [things[0]] * max(count - len(things), 1)
    return [things[index] for index in rng.permutation(len(things))]


def _add(things: list[Thing], pool: list[Thing], count: int, kinship: float, rng: np.random.Generator) -> None:
    """Take `count` things from the pool that are not there yet, or as many as there are."""
    for _ in range(count):
        free = [thing for thing in pool if thing not in things]
        if things and rng.random() < kinship:
            free = _kin(free, things[int(rng.integers(len(things)))], rng) or free
        if free:
            things.append(free[int(rng.integers(len(free)))])


def _kin(free: list[Thing], other: Thing, rng: np.random.Generator) -> list[Thing]:
    """Those of the other's kind or those of its colour."""
    if rng.random() < 0.6:
        return [thing for thing in free if thing.kind == other.kind]
    return [thing for thing in free if thing.colour == other.colour]
