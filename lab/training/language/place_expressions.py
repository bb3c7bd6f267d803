"""Expressions by size, by place in the image, and by ordinal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lab.training.language.frame_facts import ORDINAL_MARGIN, PLACE_MARGIN, FrameFacts
from lab.training.language.lexicon import ORDINALS, realise
from lab.training.language.noun_phrases import (
    Candidate,
    NounPhrase,
    Referents,
    near_misses,
    referents_of,
    superlative,
    visible_nouns,
)

SIDES: Final = (("left", 0, 1), ("right", 0, -1), ("top", 1, 1), ("bottom", 1, -1))
"Name, axis (0 is x, 1 is y), and 1 if the side is where the coordinate is least, else -1."


def size(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the largest ball", "the small red cup"."""

    def is_smaller(one: int, other: int) -> bool | None:
        return facts.is_larger(other, one)

    orders: tuple[tuple[str, Callable[[int, int], bool | None]], ...] = (
        ("largest", facts.is_larger),
        ("smallest", is_smaller),
    )
    for noun in visible_nouns(facts, rng):
        for meaning, beats in orders:
            yield _the(facts, noun, meaning, superlative(referents_of(facts, noun), beats), rng)
    for noun in near_misses(facts, rng):
        yield _the(facts, noun, orders[int(rng.integers(2))][0], referents_of(facts, noun), rng)


def place(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the cup on the left"; with one template per meaning, only "the thing on the left"."""
    generic_only = facts.vocabulary.templates_per_meaning == 1
    for noun in (NounPhrase(),) if generic_only else visible_nouns(facts, rng):
        for side, axis, sign in SIDES:
            extreme = superlative(referents_of(facts, noun), _leads(facts, axis, sign))
            yield _the(facts, noun, side, extreme, rng)
    for noun in () if generic_only else near_misses(facts, rng):
        side = SIDES[int(rng.integers(4))][0]
        yield _the(facts, noun, side, referents_of(facts, noun), rng)


def ordinal(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the second ball from the left"; the number after the last is absent."""
    for noun in visible_nouns(facts, rng):
        among = referents_of(facts, noun)
        if among is None or len(among) < 2:
            continue
        for side, axis, sign in SIDES:
            order = _row(facts, among, axis, sign)
            if order is None:
                continue
            number = int(rng.integers(min(len(order) + 1, len(ORDINALS))))
            yield _nth(facts, noun, side, number, rng), tuple(order[number : number + 1])


def _leads(facts: FrameFacts, axis: int, sign: int) -> Callable[[int, int], bool]:
    def leads(one: int, other: int) -> bool:
        return sign * facts.offset(other, one, axis) >= PLACE_MARGIN

    return leads


def _row(facts: FrameFacts, among: tuple[int, ...], axis: int, sign: int) -> list[int] | None:
    """Sort the objects from a side; None if two neighbours are too close to be counted in order."""
    order = sorted(among, key=lambda index: float(sign * facts.visible_centres[index, axis]))
    gaps = np.abs(np.diff(facts.visible_centres[order, axis]))
    return order if (gaps >= ORDINAL_MARGIN).all() else None


def _nth(facts: FrameFacts, noun: NounPhrase, side: str, number: int, rng: np.random.Generator) -> str:
    words = facts.vocabulary
    return realise(f"nth {side}", words, rng, one=noun.singular(words, rng), nth=ORDINALS[number])


def _the(
    facts: FrameFacts, noun: NounPhrase, meaning: str, referents: Referents, rng: np.random.Generator
) -> Candidate:
    return realise(meaning, facts.vocabulary, rng, one=noun.singular(facts.vocabulary, rng)), referents
