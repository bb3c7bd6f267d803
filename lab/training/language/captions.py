"""Grounded captions: descriptions of a frame in which every noun phrase has its referents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.training.language.frame_facts import FrameFacts, ObjectIndices
from lab.training.language.lexicon import NUMBERS, realise, with_article
from lab.training.language.noun_phrases import NounPhrase, may_say, referents_of
from lab.training.language.photo_facts import PhotoFacts, facts_about
from lab.training.language.relation_expressions import RELATIONS
from lab.training.scene_description import SceneDescription

MAX_LISTED: Final = 4
"Noun phrases in the list of a caption; of more, the largest objects are named."
_RELATION_ONLY_PROBABILITY: Final = 0.4
"Of a caption without the list, where a relation is certain."


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase of a caption and its referents."""

    text: str
    "With its article or number."
    referents: ObjectIndices


@dataclass(frozen=True, slots=True)
class Caption:
    """One or two sentences about a frame."""

    text: str
    "Every phrase stands between <p> and </p>, in order: the form of GLaMM (Rasheed et al. 2024)."
    phrases: tuple[Phrase, ...]


def generate_caption(scene: SceneDescription, frame: int, rng: np.random.Generator) -> Caption | None:
    """List visible objects, and relate two of them where a spatial relation is certain.

    Returns None where no visible object can be named without doubt.
    """
    facts = facts_about(scene, frame)
    if isinstance(facts, PhotoFacts):
        facts = facts.countable()
    nouns = _nouns_to_list(facts, rng)
    if not nouns:
        return None
    listed = [Phrase(_indefinite(facts, noun, referents, rng), referents) for noun, referents in nouns]
    related = _relation_sentence(facts, nouns, rng)
    if related and rng.random() < _RELATION_ONLY_PROBABILITY:
        return Caption(*related)
    enumeration = _enumerated([_marked(phrase) for phrase in listed])
    text = realise("caption list", facts.vocabulary, rng, list=enumeration)
    if related is None:
        return Caption(text, tuple(listed))
    return Caption(f"{text} {related[0]}", (*listed, *related[1]))


def _nouns_to_list(facts: FrameFacts, rng: np.random.Generator) -> list[tuple[NounPhrase, ObjectIndices]]:
    """Choose noun phrases of category and colour for the largest objects, and shuffle them."""
    nouns = [NounPhrase(*name) for name in facts.names_to_list()]
    certain = [
        (noun, referents)
        for noun in nouns
        if may_say(facts, noun) and (referents := referents_of(facts, noun)) and len(referents) < len(NUMBERS)
    ][:MAX_LISTED]
    return [certain[index] for index in rng.permutation(len(certain))]


def _relation_sentence(
    facts: FrameFacts, nouns: list[tuple[NounPhrase, ObjectIndices]], rng: np.random.Generator
) -> tuple[str, tuple[Phrase, Phrase]] | None:
    """Write a sentence about two uniquely named objects; None where no relation is certain."""
    single = [(noun, referents) for noun, referents in nouns if len(referents) == 1]
    certain = [
        (meaning, first, second)
        for first in single
        for second in single
        for meaning, holds in RELATIONS.items()
        if first != second and holds(facts, first[1][0], second[1][0])
    ]
    if not certain:
        return None
    meaning, *pair = certain[int(rng.integers(len(certain)))]
    words = facts.vocabulary
    first, second = (Phrase(f"the {noun.singular(words, rng)}", referents) for noun, referents in pair)
    text = realise(f"caption {meaning}", words, rng, first=_marked(first), second=_marked(second))
    in_order = (
        (first, second) if text.index(_marked(first)) < text.index(_marked(second)) else (second, first)
    )
    return text, in_order


def _indefinite(
    facts: FrameFacts, noun: NounPhrase, referents: ObjectIndices, rng: np.random.Generator
) -> str:
    if len(referents) == 1:
        return with_article(noun.singular(facts.vocabulary, rng))
    return f"{NUMBERS[len(referents)]} {noun.plural(facts.vocabulary, rng)}"


def _marked(phrase: Phrase) -> str:
    return f"<p>{phrase.text}</p>"


def _enumerated(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
