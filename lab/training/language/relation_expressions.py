"""Expressions by a spatial relation to another object: beside, above, behind, in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lab.training.language.frame_facts import FrameFacts
from lab.training.language.lexicon import realise
from lab.training.language.noun_phrases import (
    Candidate,
    NounPhrase,
    filtered,
    referents_of,
    unique,
    unique_nouns,
    visible_nouns,
)

Relation = Callable[[FrameFacts, int, int], bool | None]
"Whether a relation holds between the first object and the second; None in doubt."
RELATIONS: Final[dict[str, Relation]] = {
    "left of": lambda facts, one, other: facts.is_before(one, other, 0),
    "right of": lambda facts, one, other: facts.is_before(other, one, 0),
    "above": lambda facts, one, other: facts.is_before(one, other, 1),
    "below": lambda facts, one, other: facts.is_before(other, one, 1),
    "behind": lambda facts, one, other: facts.is_behind(one, other),
    "in front": lambda facts, one, other: facts.is_behind(other, one),
}
"By meaning, a key of `TEMPLATES`."
_MEANINGS: Final = tuple(RELATIONS)
_Link = tuple[NounPhrase, NounPhrase, int]
"A noun phrase, that of a landmark, and the landmark's index."


def relation(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the dog behind the red cup", "the small carrot with a large carrot to its left"."""
    nouns, landmarks = list(visible_nouns(facts, rng)), list(unique_nouns(facts, rng))
    for noun in nouns:
        if noun.category:
            yield from _beside_its_like(facts, noun, rng)
    links = [(noun, landmark, other) for noun in nouns for landmark, other in landmarks]
    order = [links[k] for k in rng.permutation(len(links))]
    # Occlusion is certain far less often than left and right: at random it would hardly ever be chosen.
    for meaning in ("behind", "in front"):
        certain = [
            (one, other)
            for one in facts.visible
            for other in facts.visible
            if RELATIONS[meaning](facts, one, other)
        ]
        for one, other in certain:
            fitting = [link for link in order if link[2] == other and facts.denotes(one, *link[0])]
            yield from (_to_landmark(facts, link, meaning, rng) for link in fitting[:1])
    for link in order:
        if facts.denotes(link[2], *link[0]) is False:
            yield _to_landmark(facts, link, _MEANINGS[int(rng.integers(len(_MEANINGS)))], rng)


def _to_landmark(facts: FrameFacts, link: _Link, meaning: str, rng: np.random.Generator) -> Candidate:
    noun, landmark, other = link
    words = facts.vocabulary
    one, the_landmark = noun.singular(words, rng), f"the {landmark.singular(words, rng)}"
    among = filtered(referents_of(facts, noun), lambda index: index != other)
    referents = unique(filtered(among, lambda index: RELATIONS[meaning](facts, index, other)))
    return realise(meaning, words, rng, one=one, other=the_landmark), referents


def _beside_its_like(facts: FrameFacts, noun: NounPhrase, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield an object beside a larger or a smaller one of the same noun phrase."""
    among = referents_of(facts, noun)
    if among is None or len(among) < 2:
        return
    size, side = ("larger", "smaller")[int(rng.integers(2))], ("left", "right")[int(rng.integers(2))]
    referents = unique(filtered(among, lambda index: _has_like(facts, index, among, size, side)))
    text = realise(f"{size} {side}", facts.vocabulary, rng, one=noun.singular(facts.vocabulary, rng))
    yield text, referents


def _has_like(facts: FrameFacts, one: int, among: tuple[int, ...], size: str, side: str) -> bool | None:
    """Whether another object of `among` is larger (smaller) and on that side of the first."""
    verdicts = []
    for other in among:
        if other == one:
            continue
        larger = facts.is_larger(other, one) if size == "larger" else facts.is_larger(one, other)
        beside = facts.is_before(other, one, 0) if side == "left" else facts.is_before(one, other, 0)
        verdicts.append(None if None in (larger, beside) else bool(larger and beside))
    if True in verdicts:
        return True
    return None if None in verdicts else False
