"""Descriptions of a frame in which every phrase points at what it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.training.language.lexicon import NUMBERS, say, with_article
from lab.training.language.nouns import Noun, meant, sayable
from lab.training.language.relation_expressions import RELATIONS
from lab.training.language.view import Seen, View
from lab.training.world.scenes import Clip

MOST: Final = 4
"Phrases in one caption; in a crowd the largest things are named."


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of a caption and the things that it speaks of."""

    text: str
    targets: Seen


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence or two about one frame."""

    text: str
    "Every phrase stands in it between <p> and </p>, in order; GLaMM's form (Rasheed et al. 2024)."
    phrases: tuple[Phrase, ...]


def caption(clip: Clip, frame: int, rng: np.random.Generator) -> Caption | None:
    """What is there, and how two of the things stand to each other where that is certain.

    None where nothing can be named beyond doubt.
    """
    view = View(clip, frame)
    named = _groups(view, rng)
    if not named:
        return None
    listed = [Phrase(_indefinite(view, noun, among, rng), among) for noun, among in named]
    related = _related(view, named, rng)
    if related and rng.random() < 0.4:
        return Caption(*related)
    text = say("caption list", view.level, rng, list=_enumerated([_marked(phrase) for phrase in listed]))
    if related is None:
        return Caption(text, tuple(listed))
    return Caption(f"{text} {related[0]}", (*listed, *related[1]))


def _groups(view: View, rng: np.random.Generator) -> list[tuple[Noun, Seen]]:
    """Full names with all that they mean, largest first, then shuffled."""
    whole = view.clip.whole_px[view.frame]
    largest = sorted(view.seen, key=lambda index: -float(whole[index]))
    nouns = dict.fromkeys(Noun(view.things[index].kind, view.things[index].colour) for index in largest)
    named = [(noun, among) for noun in nouns if sayable(view, noun) and (among := meant(view, noun))][:MOST]
    return [named[index] for index in rng.permutation(len(named))]


def _related(
    view: View, named: list[tuple[Noun, Seen]], rng: np.random.Generator
) -> tuple[str, tuple[Phrase, Phrase]] | None:
    single = [(noun, among) for noun, among in named if len(among) == 1]
    certain = [
        (way, first, second)
        for first in single
        for second in single
        for way, holds in RELATIONS.items()
        if first != second and holds(view, first[1][0], second[1][0])
    ]
    if not certain:
        return None
    way, *pair = certain[int(rng.integers(len(certain)))]
    first, second = (Phrase(f"the {noun.one(view.level, rng)}", among) for noun, among in pair)
    text = say(f"caption {way}", view.level, rng, first=_marked(first), second=_marked(second))
    in_order = (
        (first, second) if text.index(_marked(first)) < text.index(_marked(second)) else (second, first)
    )
    return text, in_order


def _indefinite(view: View, noun: Noun, among: Seen, rng: np.random.Generator) -> str:
    if len(among) == 1:
        return with_article(noun.one(view.level, rng))
    return f"{NUMBERS[len(among)]} {noun.many(view.level, rng)}"


def _marked(phrase: Phrase) -> str:
    return f"<p>{phrase.text}</p>"


def _enumerated(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
