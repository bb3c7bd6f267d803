"""Parse a caption's phrase and find the sets of objects that it can mean."""

from __future__ import annotations

from typing import Final

from lab.training.language.frame_facts import FrameFacts, ObjectIndices
from lab.training.language.lexicon import GENERIC_NOUNS, NUMBERS, plural
from lab.training.language.noun_phrases import NounPhrase
from lab.training.world.catalogue import CATEGORIES
from lab.training.world.colours import COLOURS

_ONE: Final = ("a", "an", "the", NUMBERS[1])
_KINDS: Final = {name: kind for kind in CATEGORIES for name in (kind, plural(kind))}
_ANYTHING: Final = {name for word in GENERIC_NOUNS for name in (word, f"{word}s")}


def objects_named_by(phrase: str, facts: FrameFacts) -> list[ObjectIndices]:
    """Return every set of objects that the phrase can mean; empty where there is no such object.

    "a red cup" means any red cup; "two red cups" means all of them, with or without the barely visible.
    """
    words = phrase.casefold().split()
    number = _number(words[0]) if words else 0
    noun = _noun(words[1:])
    if not number or noun is None:
        return []
    visible = tuple(index for index in facts.visible if noun.matches(facts.labels[index]))
    barely = tuple(index for index in facts.barely_visible if noun.matches(facts.labels[index]))
    if number == 1:
        return [(index,) for index in (*visible, *barely)]
    return [objects for objects in dict.fromkeys((visible, (*visible, *barely))) if len(objects) == number]


def _number(word: str) -> int:
    """Return the number that an article or a numeral means; 0 for any other word."""
    if word in _ONE:
        return 1
    return NUMBERS.index(word) if word in NUMBERS else 0


def _noun(words: list[str]) -> NounPhrase | None:
    """Parse "red cup", "people in blue", "things"; return None for other words."""
    if len(words) == 3 and words[1] == "in":
        words = [words[2], words[0]]
    *colours, name = words or [""]
    known = name in _KINDS or name in _ANYTHING
    if not known or len(colours) > 1 or not set(colours) <= set(COLOURS):
        return None
    return NounPhrase(_KINDS.get(name), colours[0] if colours else None)
