"""Expressions by motion over the last moments; none where too few frames precede."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lab.training.language.frame_facts import FrameFacts, ObjectIndices
from lab.training.language.lexicon import realise
from lab.training.language.noun_phrases import (
    Candidate,
    Referents,
    filtered,
    negated,
    referents_of,
    superlative,
    unique,
    visible_nouns,
)

MOTION_FACTS: Final[dict[str, Callable[[FrameFacts, int], bool | None]]] = {
    "moving left": lambda facts, index: facts.moves_towards(index, 0, -1),
    "moving right": lambda facts, index: facts.moves_towards(index, 0, 1),
    "moving up": lambda facts, index: facts.moves_towards(index, 1, -1),
    "moving down": lambda facts, index: facts.moves_towards(index, 1, 1),
    "moving": lambda facts, index: facts.is_moving(index),
    "static": lambda facts, index: negated(facts.is_moving(index)),
    "stopped": lambda facts, index: facts.has_stopped(index),
    "approaching": lambda facts, index: facts.is_approaching(index),
    "receding": lambda facts, index: facts.is_receding(index),
}
"By meaning, a key of `TEMPLATES`: whether it holds of an object, None in doubt."
_SUPERLATIVES: Final[dict[str, Callable[[FrameFacts, int, int], bool | None]]] = {
    "fastest": lambda facts, one, other: facts.is_faster(one, other),
    "slowest": lambda facts, one, other: facts.is_faster(other, one),
}


def motion(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the one moving left", "the ball that stopped", "the fastest car"."""
    if not facts.has_motion_history:
        return
    pairs = [
        (noun, meaning) for noun in visible_nouns(facts, rng) for meaning in (*MOTION_FACTS, *_SUPERLATIVES)
    ]
    for index in rng.permutation(len(pairs)):
        noun, meaning = pairs[index]
        if among := referents_of(facts, noun):
            text = realise(meaning, facts.vocabulary, rng, one=noun.singular(facts.vocabulary, rng))
            yield text, _referents(facts, among, meaning)


def _referents(facts: FrameFacts, among: ObjectIndices, meaning: str) -> Referents:
    if meaning in MOTION_FACTS:
        return unique(filtered(among, lambda index: MOTION_FACTS[meaning](facts, index)))
    return superlative(among, lambda one, other: _SUPERLATIVES[meaning](facts, one, other))
