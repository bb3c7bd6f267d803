"""Expressions about photographs where they differ from those about drawn scenes: places, plurals, clothes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lab.training.language import name_expressions, place_expressions, relation_expressions
from lab.training.language.frame_facts import ObjectIndices, random_name
from lab.training.language.lexicon import plural as plural_of
from lab.training.language.lexicon import realise, with_article
from lab.training.language.noun_phrases import (
    Candidate,
    NounPhrase,
    Referents,
    filtered,
    is_person,
    near_misses,
    referents_of,
    unique,
    visible_nouns,
)
from lab.training.language.photo_facts import PhotoFacts
from lab.training.language.place_expressions import SIDES
from lab.training.language.real_names import GARMENTS, NOUNS, NOUNS_OF, WORN

Generate = Callable[[PhotoFacts, np.random.Generator], Iterator[Candidate]]

AT_SIDE: Final = 0.36
"A single object is on the left (at the top, ...) if its centre is within this share of the image."
MIDDLE: Final = 0.1
"An object is in the middle if its centre is this close to that of the image ..."
ASIDE: Final = 0.2
"... and all others of its name are at least so far from it."
_ABSENT_GARMENTS: Final = 4
_PLAIN_WORN: Final = frozenset(("hair", "shoes"))
"What everybody has: only with its colour does it tell people apart."


def place(facts: PhotoFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield places among several as in drawn scenes, "the dog in the middle", and sides of single objects."""
    for noun in visible_nouns(facts, rng):
        among = referents_of(facts, noun)
        if among:
            one = noun.singular(facts.vocabulary, rng)
            yield realise("middle", facts.vocabulary, rng, one=one), _middle(facts, among)
            if len(among) == 1:
                yield from _side_of_single(facts, noun, among[0], rng)
    yield from place_expressions.place(facts, rng)


def _middle(facts: PhotoFacts, among: ObjectIndices) -> Referents:
    """Return the object in the middle of at least three; None in doubt."""
    places = {index: abs(float(facts.visible_centres[index, 0]) - 0.5) for index in among}
    central = [index for index in among if places[index] <= MIDDLE]
    if len(among) < 3 or len(central) != 1 or any(places[k] < ASIDE for k in among if k != central[0]):
        return None
    return tuple(central)


def _side_of_single(
    facts: PhotoFacts, noun: NounPhrase, index: int, rng: np.random.Generator
) -> Iterator[Candidate]:
    for side, axis, sign in SIDES[:2]:
        at = float(facts.visible_centres[index, axis])
        if (at if sign > 0 else 1 - at) < AT_SIDE:
            yield realise(side, facts.vocabulary, rng, one=noun.singular(facts.vocabulary, rng)), (index,)


def relation(facts: PhotoFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield relations between things that are no parts of others."""
    yield from relation_expressions.relation(facts.countable(), rng)


def size(facts: PhotoFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield sizes of things that are no parts of others."""
    yield from place_expressions.size(facts.countable(), rng)


def ordinal(facts: PhotoFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield ordinals of things that are no parts of others."""
    yield from place_expressions.ordinal(facts.countable(), rng)


def plural(facts: PhotoFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "all dogs" of whatever shows, "both dogs" only where each has its mask; absent ones, too."""
    for noun in visible_nouns(facts, rng):
        among, single = facts.all_of(*noun), referents_of(facts, noun)
        if not among or (len(among) == 1 and facts.scene.instance[among[0]] and rng.random() < 0.7):
            continue
        counted = single is not None and 1 < len(single) <= 8
        yield name_expressions.several_of(facts, noun, len(among), counted, rng), among
    for noun in near_misses(facts, rng):
        yield name_expressions.several_of(facts, noun, 0, False, rng), ()


def clothing(facts: PhotoFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    """Yield "the woman in the red jacket", "the person with black hair"; absent ones likewise."""
    people = [noun for noun in facts.nouns if is_person(noun) and referents_of(facts, NounPhrase(noun))]
    garments = _garments(facts, rng)
    if not people or not garments:
        return
    for index in rng.permutation(len(garments)):
        name, colour = garments[index]
        person = people[int(rng.integers(len(people)))]
        among = referents_of(facts, NounPhrase(person))
        worn = filtered(among, _wears(facts, name, colour))
        if worn is not None and len(worn) > 1:
            yield _clothed(facts, f"all {_manner(name)}", person, (name, colour), rng), worn
        else:
            meaning = _manner(name) + (" pair" if NOUNS[name].only_plural else "")
            yield _clothed(facts, meaning, person, (name, colour), rng), unique(worn)


def _garments(facts: PhotoFacts, rng: np.random.Generator) -> list[tuple[str, str | None]]:
    """List what may be worn: what is, with its colour and without, and things and colours at random."""
    there = [
        (NOUNS_OF[label.category][0], label.colour)
        for label, wearer in zip(facts.labels, facts.scene.wearers, strict=True)
        if wearer >= 0 and label.category in WORN
    ]
    found: list[tuple[str, str | None]] = []
    for name, colour in there:
        if colour or name not in _PLAIN_WORN:
            found.append((name, colour or None))
            found += [] if name in _PLAIN_WORN else [(name, None)]
        found.append((name, random_name(facts.vocabulary.colours, rng)))
    for _ in range(_ABSENT_GARMENTS if there else 0):
        name = NOUNS_OF[random_name(GARMENTS, rng)][0]
        found.append((name, random_name((*facts.vocabulary.colours, ""), rng) or None))
    return list(dict.fromkeys(found))


def _wears(facts: PhotoFacts, name: str, colour: str | None) -> Callable[[int], bool | None]:
    return lambda person: facts.wears(person, name, colour)


def _manner(name: str) -> str:
    """Return how a person has it: "in" clothes, "with" a bag."""
    return "in" if NOUNS[name].certain <= set(GARMENTS) else "with"


def _clothed(
    facts: PhotoFacts, meaning: str, person: str, garment: tuple[str, str | None], rng: np.random.Generator
) -> str:
    name, colour = garment
    worn = " ".join(filter(None, (colour, plural_of(name) if meaning.startswith("all") else name)))
    words = facts.vocabulary
    many = plural_of(person)
    return realise(meaning, words, rng, one=person, many=many, worn=worn, a_worn=with_article(worn))


PHOTO_KINDS: Final[dict[str, Generate]] = {
    "kind": name_expressions.category,
    "both": name_expressions.both,
    "clothing": clothing,
    "place": place,
    "size": size,
    "plural": plural,
    "negation": name_expressions.negation,
    "ordinal": ordinal,
    "relation": relation,
}
"A generator of candidates for each kind; as `expressions.EXPRESSION_KINDS` for drawn scenes."
