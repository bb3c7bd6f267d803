"""What a phrase of a caption names: its words read back, and looked for among the things that are there."""

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


def objects_named_by(phrase: str, view: FrameFacts) -> list[ObjectIndices]:
    """Every set of things that the phrase could truthfully mean; none where there is nothing of that name.

    "A red cup" may be any of several; "two red cups" are all there are, hardly seen ones counted or not.
    """
    words = phrase.casefold().split()
    number = _number(words[0]) if words else 0
    noun = _noun(words[1:])
    if not number or noun is None:
        return []
    seen = tuple(index for index in view.visible if noun.matches(view.labels[index]))
    doubtful = tuple(index for index in view.barely_visible if noun.matches(view.labels[index]))
    if number == 1:
        return [(index,) for index in (*seen, *doubtful)]
    return [among for among in dict.fromkeys((seen, (*seen, *doubtful))) if len(among) == number]


def _number(word: str) -> int:
    """How many an article or a number says; 0 of any other word."""
    if word in _ONE:
        return 1
    return NUMBERS.index(word) if word in NUMBERS else 0


def _noun(words: list[str]) -> NounPhrase | None:
    """ "red cup", "people in blue", "things"; None of anything that is not such a name."""
    if len(words) == 3 and words[1] == "in":
        words = [words[2], words[0]]
    *colours, name = words or [""]
    known = name in _KINDS or name in _ANYTHING
    if not known or len(colours) > 1 or not set(colours) <= set(COLOURS):
        return None
    return NounPhrase(_KINDS.get(name), colours[0] if colours else None)
