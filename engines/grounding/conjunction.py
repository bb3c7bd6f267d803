"""Splits the words of a query that name several things: "the red car and the dog". Pure.

A referring expression has one answer, so each thing is asked for by itself. English only, and only where the
words leave no doubt: a determiner begins the next thing, and nothing before it may govern both ("the man with
the hat and the bag", "the cup between the plate and the fork").
"""

from __future__ import annotations

import re
from typing import Final

MAX_THINGS: Final = 8
"The last one keeps the rest of the words."
_DETERMINER: Final = (
    r"(?:the|an?|this|that|these|those|my|your|his|her|its|our|their|all|both|every|each|any|some|another"
    r"|one|two|three|four)\b"
)
_JOINT: Final = re.compile(
    rf"\s*[,;]?\s+(?:and(?: also)?|&|plus|as well as)\s+(?={_DETERMINER})|\s*[,;]\s*(?={_DETERMINER})", re.I
)
_AND: Final = re.compile(r"(?<!\w)(?:and|&|plus|as well as|und|et|och|и)(?!\w)|[;和与]", re.I)
_SIDE: Final = r"the (?:left|right|top|bottom|middle|cent(?:er|re)|front|back|background|foreground)\b"
_GOVERNS: Final = re.compile(
    r"\b(?:with|without|of|in|on|at|near|by|beside|behind|before|under|below|above|over|around|inside|from|to"
    rf"|than|for|against|through|\w+ing) (?={_DETERMINER})(?!{_SIDE})| (?:who|whose|which|that)\b",
    re.I,
)
_BETWEEN: Final = re.compile(r"\bbetween\b", re.I)
_SAME_AGAIN: Final = re.compile(
    r"the (?:\w+ )?ones?\b|(?:all|both|each|some) (?:in|on|with|of|at|by)\b", re.I
)
'A part that speaks of the things before it: "the brown one", "all in red".'
_ADJECTIVES: Final = frozenset(
    re.findall(
        r"\w+",
        "red orange yellow green blue purple violet pink brown black white grey gray very light dark bright "
        "left right top bottom upper lower first second third fourth last "
        "large larger largest small smaller smallest big bigger biggest tall short old young",
    )
)
'After a determiner alone the noun comes with a later part: "the red and the blue car".'


def things_in(text: str) -> list[str]:
    """Return the things that a referring expression names, in order; the text itself where it may be one."""
    line = re.sub(rf"^both (?={_DETERMINER})", "", " ".join(text.split()), flags=re.I)
    parts = _JOINT.split(line, maxsplit=MAX_THINGS - 1)
    is_list = len(parts) > 1 and all(re.match(_DETERMINER, part, re.I) for part in parts)
    is_doubtful = _BETWEEN.search(line) or any(_GOVERNS.search(part) for part in parts[:-1])
    is_same = any(_SAME_AGAIN.match(part) for part in parts[1:])
    lacks_noun = any(_ADJECTIVES.issuperset(part.lower().split()[1:]) for part in parts)
    return parts if is_list and not (is_doubtful or is_same or lacks_noun) else [text]


def may_name_several(text: str) -> bool:
    """Whether a text that is not split may still name several things."""
    return _AND.search(text) is not None and _BETWEEN.search(text) is None
