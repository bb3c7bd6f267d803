"""Expressions by category and colour: of one object, of several, and with negation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lab.training.language.frame_facts import FrameFacts
from lab.training.language.lexicon import NUMBERS, ONLY_PLURAL, realise
from lab.training.language.noun_phrases import (
    Candidate,
    NounPhrase,
    colour_predicate,
    filtered,
    may_say,
    near_misses,
    negated,
    referents_of,
    unique,
    unique_nouns,
    visible_nouns,
)
from lab.training.scene_description import ObjectLabel


def colour(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the red thing" for every colour of the vocabulary, present or absent."""
    colours = rng.permutation(facts.vocabulary.colours).tolist()
    yield from (_the(facts, NounPhrase(None, name), rng) for name in colours)


def category(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the cup" for every category of the vocabulary, present or absent."""
    categories = rng.permutation(facts.vocabulary.categories).tolist()
    yield from (_the(facts, NounPhrase(name), rng) for name in categories)


def both(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the red cup" for what is visible, and for near misses."""
    there = [noun for noun in visible_nouns(facts, rng) if noun.category and noun.colour]
    yield from (_the(facts, noun, rng) for noun in (*there, *near_misses(facts, rng)))


def several(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "all red things", "both cups", "the three dogs"; absent ones with "all" only."""
    for noun in visible_nouns(facts, rng):
        referents = referents_of(facts, noun)
        if referents is None or len(referents) < 2:
            continue
        meanings = ["all", "numbered", *["both"] * (2 if len(referents) == 2 else 0)]
        meaning = meanings[int(rng.integers(len(meanings)))]
        yield _plural(facts, noun, meaning, len(referents), rng), referents
    for noun in near_misses(facts, rng):
        lesser = (noun, NounPhrase(noun.category), NounPhrase(None, noun.colour))[int(rng.integers(3))]
        if referents_of(facts, lesser) == ():
            yield _plural(facts, lesser, "all", 0, rng), ()


def negation(facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the star that is not red", "all things that are not red", "everything but the dog"."""
    for noun in visible_nouns(facts, rng):
        if noun.colour is None and noun.category not in ONLY_PLURAL:
            yield from _not_of_a_colour(facts, noun, rng)
    for noun, index in unique_nouns(facts, rng):
        everything = referents_of(facts, NounPhrase())
        if everything is not None and len(everything) > 1:
            others = tuple(other for other in everything if other != index)
            the_noun = f"the {noun.singular(facts.vocabulary, rng)}"
            yield realise("all but", facts.vocabulary, rng, other=the_noun), others


def _not_of_a_colour(facts: FrameFacts, noun: NounPhrase, rng: np.random.Generator) -> Iterator[Candidate]:
    among = referents_of(facts, noun)
    if not among:
        return
    colours = [name for name in dict.fromkeys(facts.labels[index].colour for index in among) if name]
    if not colours:
        return
    name = colours[int(rng.integers(len(colours)))]
    if noun.category and not facts.may_name(ObjectLabel(noun.category, name)):
        return
    rest = filtered(among, lambda index: negated(facts.denotes(index, None, name)))
    words, predicate = facts.vocabulary, colour_predicate(noun.category, name)
    if rest is not None and len(rest) > 1:
        many, one = noun.plural(words, rng), noun.singular(words, rng)
        yield realise("all not", words, rng, many=many, one=one, colour=predicate), rest
    else:
        yield realise("not", words, rng, one=noun.singular(words, rng), colour=predicate), rest


def _the(facts: FrameFacts, noun: NounPhrase, rng: np.random.Generator) -> Candidate:
    text = realise("name", facts.vocabulary, rng, one=noun.singular(facts.vocabulary, rng))
    return text, unique(referents_of(facts, noun)) if may_say(facts, noun) else None


def several_of(
    facts: FrameFacts, noun: NounPhrase, count: int, counted: bool, rng: np.random.Generator
) -> str:
    """Put so many objects into words: "all dogs"; where they are counted also "both dogs", "the two dogs"."""
    meanings = ["all", *(["numbered"] if counted else []), *(["both"] if counted and count == 2 else [])]
    meaning = meanings[int(rng.integers(len(meanings)))]
    if meaning == "all" and noun.category in ONLY_PLURAL:  # no "each shoes"
        meaning = "all of one form"
    return _plural(facts, noun, meaning, count if counted else 0, rng)


def _plural(facts: FrameFacts, noun: NounPhrase, meaning: str, count: int, rng: np.random.Generator) -> str:
    words = facts.vocabulary
    one, many = noun.singular(words, rng), noun.plural(words, rng)
    return realise(meaning, words, rng, one=one, many=many, number=NUMBERS[count])
