"""Every word that the world is spoken of with, and the ways to put them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from lab.training.world.catalogue import KINDS, SHAPES
from lab.training.world.colours import COLOURS
from lab.training.world.levels import Level

NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
ORDINALS: Final = ("first", "second", "third", "fourth", "fifth")
ANYTHING: Final = ("thing", "object", "one", "shape")
"What a thing may be called whose kind is not said; a shape only where all are shapes."
_PLURALS: Final = {"cross": "crosses", "person": "people", "fish": "fish", "box": "boxes"}

WAYS: Final[dict[str, tuple[str, ...]]] = {
    "name": ("the {one}",),
    "all": ("all {many}", "the {many}", "all the {many}", "every {one}", "each {one}"),
    "both": ("both {many}", "the two {many}", "the pair of {many}"),
    "numbered": ("the {number} {many}", "all of the {number} {many}"),
    "not": ("the {one} that is not {colour}", "the {one} which is not {colour}", "the {one} not {colour}"),
    "all not": (
        "all {many} that are not {colour}",
        "the {many} that are not {colour}",
        "every {one} not {colour}",
    ),
    "all but": (
        "everything but {other}",
        "everything except {other}",
        "all but {other}",
        "all things except {other}",
    ),
    "largest": ("the largest {one}", "the big {one}", "the biggest {one}", "the large {one}"),
    "smallest": ("the smallest {one}", "the small {one}", "the little {one}", "the tiniest {one}"),
    "left": (
        "the {one} on the left",
        "the leftmost {one}",
        "the {one} furthest to the left",
        "the left {one}",
    ),
    "right": (
        "the {one} on the right",
        "the rightmost {one}",
        "the {one} furthest to the right",
        "the right {one}",
    ),
    "top": ("the {one} on the top", "the {one} at the top", "the topmost {one}", "the highest {one}"),
    "bottom": ("the {one} on the bottom", "the {one} at the bottom", "the lowest {one}", "the bottom {one}"),
    "nth left": ("the {nth} {one} from the left", "the {nth} {one} counted from the left"),
    "nth right": ("the {nth} {one} from the right", "the {nth} {one} counted from the right"),
    "nth top": ("the {nth} {one} from the top", "the {nth} {one} counted from the top"),
    "nth bottom": ("the {nth} {one} from the bottom", "the {nth} {one} counted from the bottom"),
    "left of": (
        "the {one} left of {other}",
        "the {one} to the left of {other}",
        "the {one} on the left side of {other}",
    ),
    "right of": (
        "the {one} right of {other}",
        "the {one} to the right of {other}",
        "the {one} on the right side of {other}",
    ),
    "above": ("the {one} above {other}", "the {one} over {other}", "the {one} higher than {other}"),
    "below": ("the {one} below {other}", "the {one} under {other}", "the {one} lower than {other}"),
    "behind": (
        "the {one} behind {other}",
        "the {one} partly hidden by {other}",
        "the {one} that {other} covers",
    ),
    "in front": (
        "the {one} in front of {other}",
        "the {one} hiding {other}",
        "the {one} that covers {other}",
    ),
    "larger left": (
        "the {one} with a larger {one} to its left",
        "the small {one} with a large {one} to its left",
    ),
    "larger right": (
        "the {one} with a larger {one} to its right",
        "the small {one} with a large {one} to its right",
    ),
    "smaller left": (
        "the {one} with a smaller {one} to its left",
        "the large {one} with a small {one} to its left",
    ),
    "smaller right": (
        "the {one} with a smaller {one} to its right",
        "the large {one} with a small {one} to its right",
    ),
    "going left": ("the {one} moving left", "the {one} going left", "the {one} that moves to the left"),
    "going right": ("the {one} moving right", "the {one} going right", "the {one} that moves to the right"),
    "going up": ("the {one} moving up", "the {one} going up", "the {one} that rises"),
    "going down": ("the {one} moving down", "the {one} going down", "the {one} that sinks"),
    "moving": ("the moving {one}", "the {one} that is moving", "the {one} that moves"),
    "resting": ("the {one} that is not moving", "the {one} standing still", "the resting {one}"),
    "stopped": ("the {one} that stopped", "the {one} that stopped moving", "the {one} that came to a halt"),
    "nearing": ("the {one} coming closer", "the {one} getting bigger", "the growing {one}"),
    "leaving": ("the {one} going away", "the {one} getting smaller", "the shrinking {one}"),
    "fastest": ("the fastest {one}", "the {one} moving fastest", "the quickest {one}"),
    "slowest": ("the slowest {one}", "the {one} moving slowest"),
    "how many": ("how many {many} are there?", "how many {many} do you see?", "count the {many}"),
    "what colour": ("what colour is {other}?", "what color is {other}?", "which colour does {other} have?"),
    "what colour worn": ("what colour does {other} wear?", "which colour does {other} wear?"),
    "what kind": ("what is {other}?", "what kind of thing is {other}?"),
    "is there": ("is there {a}?", "do you see {a}?", "can you see {a}?"),
    "which larger": ("which is larger, {other} or {another}?", "what is bigger, {other} or {another}?"),
    "which smaller": ("which is smaller, {other} or {another}?",),
    "which left": (
        "which is further left, {other} or {another}?",
        "which is more to the left, {other} or {another}?",
    ),
    "which right": (
        "which is further right, {other} or {another}?",
        "which is more to the right, {other} or {another}?",
    ),
    "which top": ("which is higher, {other} or {another}?",),
    "which bottom": ("which is lower, {other} or {another}?",),
    "is moving": ("is {other} moving?", "does {other} move?"),
    "which way": ("which way does {other} go?", "where does {other} go?", "which way does {other} move?"),
    "caption list": ("there is {list}.", "i see {list}.", "a picture of {list}.", "here is {list}."),
    "caption left of": ("{first} is to the left of {second}.", "{first} is left of {second}."),
    "caption right of": ("{first} is to the right of {second}.", "{first} is right of {second}."),
    "caption above": ("{first} is above {second}.",),
    "caption below": ("{first} is below {second}.",),
    "caption behind": ("{first} is behind {second}.", "{second} covers {first}."),
    "caption in front": ("{first} is in front of {second}.", "{first} hides {second}."),
}
"By meaning; the first way of each is the plainest, and a level may know no other."
_AROUND: Final = "yes no a an and in on the people . , ?"
"Words of phrases that stand in no way."


def say(meaning: str, level: Level, rng: np.random.Generator, **parts: str) -> str:
    """One of the level's ways to say that, its slots filled."""
    ways = WAYS[meaning][: level.wordings]
    return ways[int(rng.integers(len(ways)))].format(**parts)


def plural(kind: str) -> str:
    """The name of several."""
    return _PLURALS.get(kind, f"{kind}s")


def with_article(words: str) -> str:
    """`a` or `an` before the words."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def anything(level: Level) -> tuple[str, ...]:
    """What a thing of this level may be called whose kind is not said."""
    return ANYTHING if set(level.kinds) <= set(SHAPES) else ANYTHING[:3]


def vocabulary() -> tuple[str, ...]:
    """Every word and mark, each once."""
    return tuple(dict.fromkeys(_all_words()))


def _all_words() -> Iterator[str]:
    yield from (*COLOURS, *KINDS, *(plural(kind) for kind in KINDS))
    yield from (*NUMBERS, *ORDINALS, *ANYTHING, *(f"{word}s" for word in ANYTHING), *_AROUND.split())
    for ways in WAYS.values():
        for way in ways:
            apart = way.replace("?", " ?").replace(",", " ,").replace(".", " .")
            yield from (word for word in apart.split() if not word.startswith("{"))
