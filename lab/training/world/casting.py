"""Which things a scene is about."""

from __future__ import annotations

from functools import cache

import numpy as np

from lab.training.world.catalogue import NAMELESS, Thing
from lab.training.world.holdout import Split, is_held_out
from lab.training.world.levels import Level


def cast(level: Level, split: Split, rng: np.random.Generator) -> list[Thing]:
    """Different things, as many as the level allows; among look-alikes, some are the same."""
    known, held_out = _pools(level.kinds, level.colours)
    count = int(rng.integers(level.things[0], level.things[1] + 1))
    things: list[Thing] = []
    if split is Split.COMBINATIONS:
        _add(things, held_out, (count + 1) // 2, level.kinship, rng)
    strange = int(rng.binomial(count, level.strange)) if level.strange else 0
    _add(things, known, count - strange - len(things), level.kinship, rng)
    things += [NAMELESS] * strange
    if split is Split.LOOK_ALIKES:
        different = things[: max(count - int(rng.integers(1, 3)), 1)]
        things = different + [different[0]] * max(count - len(different), 1)
    return [things[index] for index in rng.permutation(len(things))]


@cache
def _pools(kinds: tuple[str, ...], colours: tuple[str, ...]) -> tuple[tuple[Thing, ...], tuple[Thing, ...]]:
    """The known and the held-out combinations."""
    everything = [Thing(kind, colour) for colour in colours for kind in kinds]
    known = tuple(thing for thing in everything if not is_held_out(thing))
    return known, tuple(thing for thing in everything if is_held_out(thing))


def _add(
    things: list[Thing], pool: tuple[Thing, ...], count: int, kinship: float, rng: np.random.Generator
) -> None:
    """Take `count` things from the pool that are not there yet, or as many as there are."""
    free = [thing for thing in pool if thing not in things]
    for _ in range(min(count, len(free))):
        near = free
        if things and rng.random() < kinship:
            near = _kin(free, things[int(rng.integers(len(things)))], rng) or free
        things.append(near[int(rng.integers(len(near)))])
        free.remove(things[-1])


def _kin(free: list[Thing], other: Thing, rng: np.random.Generator) -> list[Thing]:
    """Those of the other's kind or those of its colour."""
    if rng.random() < 0.6:
        return [thing for thing in free if thing.kind == other.kind]
    return [thing for thing in free if thing.colour == other.colour]
