"""Expressions by how large things are, where they are, and where they are in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lab.training.language.lexicon import ORDINALS, say
from lab.training.language.nouns import Meaning, Noun, Saying, extreme, meant, near_misses, nouns_there
from lab.training.language.view import ORDER_GAP, PLACE_GAP, View

SIDES: Final = (("left", 0, 1), ("right", 0, -1), ("top", 1, 1), ("bottom", 1, -1))
"Name, axis (0 is x), and 1 where the side lies at its beginning."


def size(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "the largest ball", "the small red cup"."""

    def smaller(one: int, other: int) -> bool | None:
        return view.larger(other, one)

    orders: tuple[tuple[str, Callable[[int, int], bool | None]], ...] = (
        ("largest", view.larger),
        ("smallest", smaller),
    )
    for noun in nouns_there(view, rng):
        for way, beats in orders:
            yield _said(view, noun, way, extreme(meant(view, noun), beats), rng)
    for noun in near_misses(view, rng):
        yield _said(view, noun, orders[int(rng.integers(2))][0], meant(view, noun), rng)


def place(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "the cup on the left"; where a level has few words, of things in general alone."""
    general_only = view.level.wordings == 1
    for noun in (Noun(),) if general_only else nouns_there(view, rng):
        for side, axis, sign in SIDES:
            yield _said(view, noun, side, extreme(meant(view, noun), _leads(view, axis, sign)), rng)
    for noun in () if general_only else near_misses(view, rng):
        side = SIDES[int(rng.integers(4))][0]
        yield _said(view, noun, side, meant(view, noun), rng)


def ordinal(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "the second ball from the left"; one more than there are is absent."""
    for noun in nouns_there(view, rng):
        among = meant(view, noun)
        if among is None or len(among) < 2:
            continue
        for side, axis, sign in SIDES:
            order = _row(view, among, axis, sign)
            if order is None:
                continue
            number = int(rng.integers(min(len(order) + 1, len(ORDINALS))))
            yield _ordinal(view, noun, side, number, rng), tuple(order[number : number + 1])


def _leads(view: View, axis: int, sign: int) -> Callable[[int, int], bool]:
    def leads(one: int, other: int) -> bool:
        return sign * view.ahead(other, one, axis) >= PLACE_GAP

    return leads


def _row(view: View, among: tuple[int, ...], axis: int, sign: int) -> list[int] | None:
    """The things in order from a side; None where two of them stand too close to count."""
    order = sorted(among, key=lambda index: float(sign * view.centres[index, axis]))
    gaps = np.abs(np.diff(view.centres[order, axis]))
    return order if (gaps >= ORDER_GAP).all() else None


def _ordinal(view: View, noun: Noun, side: str, number: int, rng: np.random.Generator) -> str:
    one = noun.one(view.level, rng)
    return say(f"nth {side}", view.level, rng, one=one, nth=ORDINALS[number])


def _said(view: View, noun: Noun, way: str, meaning: Meaning, rng: np.random.Generator) -> Saying:
    return say(way, view.level, rng, one=noun.one(view.level, rng)), meaning
