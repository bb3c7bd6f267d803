"""Expressions by how things have moved in the last moments; nothing is said where the clip shows too few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lab.training.language.lexicon import say
from lab.training.language.nouns import Meaning, Saying, extreme, filtered, meant, nouns_there, single
from lab.training.language.view import Seen, View

MOVES: Final[dict[str, Callable[[View, int], bool | None]]] = {
    "going left": lambda view, index: view.goes(index, 0, -1),
    "going right": lambda view, index: view.goes(index, 0, 1),
    "going up": lambda view, index: view.goes(index, 1, -1),
    "going down": lambda view, index: view.goes(index, 1, 1),
    "moving": lambda view, index: view.moves(index),
    "resting": lambda view, index: _not(view.moves(index)),
    "stopped": lambda view, index: view.stopped(index),
    "nearing": lambda view, index: view.nears(index),
    "leaving": lambda view, index: view.recedes(index),
}
_CONTESTS: Final[dict[str, Callable[[View, int, int], bool | None]]] = {
    "fastest": lambda view, one, other: view.faster(one, other),
    "slowest": lambda view, one, other: view.faster(other, one),
}


def motion(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "the one moving left", "the ball that stopped", "the fastest car"."""
    if not view.moves_known:
        return
    pairs = [(noun, way) for noun in nouns_there(view, rng) for way in (*MOVES, *_CONTESTS)]
    for index in rng.permutation(len(pairs)):
        noun, way = pairs[index]
        if among := meant(view, noun):
            yield say(way, view.level, rng, one=noun.one(view.level, rng)), _meaning(view, among, way)


def _meaning(view: View, among: Seen, way: str) -> Meaning:
    if way in MOVES:
        return single(filtered(among, lambda index: MOVES[way](view, index)))
    return extreme(among, lambda one, other: _CONTESTS[way](view, one, other))


def _not(verdict: bool | None) -> bool | None:
    return None if verdict is None else not verdict
