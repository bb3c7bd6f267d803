"""Noun phrases such as "red cup", "things", "person in blue", and the objects of a frame that they denote.

The generators of expressions combine them: a noun phrase denotes a set of objects, a filter or a superlative
narrows it. Doubt propagates: None where a careful person would not be sure of the set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from lab.training.language.frame_facts import FrameFacts, ObjectIndices
from lab.training.language.lexicon import PEOPLE, generic_nouns, plural
from lab.training.scene_description import ObjectLabel, Vocabulary

Referents = ObjectIndices | None
"The objects that words refer to, () if to none that is there; None in doubt."
Candidate = tuple[str, Referents]
"Words and their referents; used only where the referents are not in doubt."


class NounPhrase(NamedTuple):
    """A category, a colour, both or neither."""

    category: str | None = None
    colour: str | None = None

    def matches(self, label: ObjectLabel) -> bool:
        """Whether an object of that label may be called so."""
        return self.category in (None, label.category) and self.colour in (None, label.colour)

    def singular(self, vocabulary: Vocabulary, rng: np.random.Generator) -> str:
        """Words for one such object, without article. A person is "in" a colour."""
        if is_person(self.category) and self.colour:
            return f"{self.category} in {self.colour}"
        return " ".join(filter(None, (self.colour, self.category or self._generic_noun(vocabulary, rng))))

    def plural(self, vocabulary: Vocabulary, rng: np.random.Generator) -> str:
        """Words for several such objects, without article."""
        if self.category and is_person(self.category) and self.colour:
            return f"{plural(self.category)} in {self.colour}"
        noun = plural(self.category) if self.category else f"{self._generic_noun(vocabulary, rng)}s"
        return " ".join(filter(None, (self.colour, noun)))

    def _generic_noun(self, vocabulary: Vocabulary, rng: np.random.Generator) -> str:
        nouns = generic_nouns(vocabulary)
        # "The green thing" is as plain as "the green shape"; "the shape on the left" is not.
        allowed = nouns if self.colour else nouns[: vocabulary.templates_per_meaning]
        return allowed[int(rng.integers(len(allowed)))]


def is_person(category: str | None) -> bool:
    """Whether this is a noun for a person."""
    return category == "person" or category in PEOPLE


def colour_predicate(category: str | None, colour: str) -> str:
    """Return what stands after "that is not": a person is "in red", anything else "red"."""
    return f"in {colour}" if is_person(category) else colour


def referents_of(facts: FrameFacts, noun: NounPhrase) -> Referents:
    """Return the visible objects that the noun phrase denotes; None if a barely visible one would match."""
    return facts.matching(noun.category, noun.colour)


def unique(referents: Referents) -> Referents:
    """Return referents of a singular with "the": the same if they are one or none, else None."""
    return referents if referents is not None and len(referents) < 2 else None


def superlative(among: Referents, beats: Callable[[int, int], bool | None]) -> Referents:
    """Return the object of at least two that beats all others without doubt; None if there is none."""
    if among is None or len(among) < 2:
        return None
    for index in among:
        if all(beats(index, other) for other in among if other != index):
            return (index,)
    return None


def filtered(among: Referents, holds: Callable[[int], bool | None]) -> Referents:
    """Return the objects for which a fact holds; None if it is in doubt for any of them."""
    if among is None:
        return None
    verdicts = [holds(index) for index in among]
    if None in verdicts:
        return None
    return tuple(index for index, verdict in zip(among, verdicts, strict=True) if verdict)


def negated(verdict: bool | None) -> bool | None:
    """Return the opposite; doubt stays doubt."""
    return None if verdict is None else not verdict


def may_say(facts: FrameFacts, noun: NounPhrase) -> bool:
    """Whether texts about the scene may contain the noun phrase (see `Vocabulary.held_out`)."""
    if not (noun.category and noun.colour):
        return True
    return facts.may_name(ObjectLabel(noun.category, noun.colour))


def visible_nouns(facts: FrameFacts, rng: np.random.Generator) -> Iterator[NounPhrase]:
    """Yield the noun phrases that match visible objects, each once, in random order; the empty one too."""
    names = facts.visible_names
    yield from (NounPhrase(*names[index]) for index in rng.permutation(len(names)).tolist())


def unique_nouns(facts: FrameFacts, rng: np.random.Generator) -> Iterator[tuple[NounPhrase, int]]:
    """Yield noun phrases that denote exactly one object, with that object, in random order."""
    for noun in visible_nouns(facts, rng):
        referents = referents_of(facts, noun)
        if noun != NounPhrase() and referents is not None and len(referents) == 1:
            yield noun, referents[0]


def near_misses(facts: FrameFacts, rng: np.random.Generator) -> Iterator[NounPhrase]:
    """Yield noun phrases of category and colour that match no object.

    The likeliest confusions mostly come first: category and colour both occur (of different objects), then
    one of them, then neither.
    """
    for name in facts.missing_names(rng):
        noun = NounPhrase(*name)
        if may_say(facts, noun):
            yield noun
