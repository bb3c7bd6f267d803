"""The lexicon: every word, and the templates that put a meaning into words.

A template's fields are filled with words: `{one}` a name in the singular and `{many}` in the plural, without
article; `{other}` and `{another}` a name with "the", `{a}` one with "a"; `{colour}`, `{number}`, `{nth}`.
To widen the language, add a template. The order of words and templates is part of trained weights
(`vocabulary` numbers the tokens, random choices are by index): append, do not insert.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from lab.training.scene_description import Vocabulary

NUMBERS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight")
ORDINALS: Final = ("first", "second", "third", "fourth", "fifth")
GENERIC_NOUNS: Final = ("thing", "object", "one", "shape")
"Names of an object whose category is left open; the last one only where all are shapes."
_PLURALS: Final = {
    "cross": "crosses",
    "person": "people",
    "fish": "fish",
    "box": "boxes",
    "man": "men",
    "woman": "women",
    "child": "children",
    "guy": "guys",
    "sheep": "sheep",
    "aircraft": "aircraft",
    "knife": "knives",
    "scarf": "scarves",
    "mouse": "mice",
    "computer mouse": "computer mice",
}
_ONLY_PLURAL: Final = """skis, scissors, boots, flats, gloves, heels, jeans, leggings, loafers, pants, pumps,
    sandals, shoes, shorts, sneakers, socks, stockings, tights, sunglasses, glasses, hair, trousers, shades,
    clothes, luggage, furniture, food, broccoli"""
ONLY_PLURAL: Final = frozenset(name.strip() for name in _ONLY_PLURAL.split(","))
"Nouns of one form, for one thing and for many."

TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
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
    "moving left": ("the {one} moving left", "the {one} going left", "the {one} that moves to the left"),
    "moving right": ("the {one} moving right", "the {one} going right", "the {one} that moves to the right"),
    "moving up": ("the {one} moving up", "the {one} going up", "the {one} that rises"),
    "moving down": ("the {one} moving down", "the {one} going down", "the {one} that sinks"),
    "moving": ("the moving {one}", "the {one} that is moving", "the {one} that moves"),
    "static": ("the {one} that is not moving", "the {one} standing still", "the resting {one}"),
    "stopped": ("the {one} that stopped", "the {one} that stopped moving", "the {one} that came to a halt"),
    "approaching": ("the {one} coming closer", "the {one} getting bigger", "the growing {one}"),
    "receding": ("the {one} going away", "the {one} getting smaller", "the shrinking {one}"),
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
"By meaning; the first template of each is the plainest."
REAL_TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "middle": (
        "the {one} in the middle",
        "the middle {one}",
        "the {one} in the centre",
        "the {one} in the center",
    ),
    "all of one form": ("the {many}", "all {many}", "all the {many}"),
    "in": (
        "the {one} in the {worn}",
        "the {one} in {a_worn}",
        "the {one} wearing {a_worn}",
        "the {one} who wears {a_worn}",
    ),
    "with": ("the {one} with {a_worn}", "the {one} with the {worn}", "the {one} that has {a_worn}"),
    "in pair": ("the {one} in {worn}", "the {one} wearing {worn}", "the {one} in the {worn}"),
    "with pair": ("the {one} with {worn}",),
    "all in": ("all {many} in {worn}", "everyone in {worn}", "all {many} wearing {worn}"),
    "all with": ("all {many} with {worn}", "everyone with {worn}"),
}
"""Of photographs alone; `{worn}` is a garment, with its colour or without, `{a_worn}` the same with "a".
Apart from `TEMPLATES`, because the tokenizer numbers the words of those first."""
PEOPLE: Final = ("man", "woman", "kid", "boy", "girl", "guy", "lady", "child", "human", "pedestrian")
"Nouns for a person beside `person`."
_OTHER_WORDS: Final = "yes no a an and in on the people . , ?"
"Words that texts have and no template holds."
_ALL_TEMPLATES: Final = TEMPLATES | REAL_TEMPLATES


def realise(meaning: str, vocabulary: Vocabulary, rng: np.random.Generator, **fields: str) -> str:
    """Put a meaning, a key of `TEMPLATES`, into words by a random template that the vocabulary allows."""
    templates = _ALL_TEMPLATES[meaning][: vocabulary.templates_per_meaning]
    return templates[int(rng.integers(len(templates)))].format(**fields)


def plural(name: str) -> str:
    """Return the plural of a category's name."""
    if name in _PLURALS or name in ONLY_PLURAL:
        return _PLURALS.get(name, name)
    if name.endswith(("s", "sh", "ch", "x")):
        return f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") and name[-2] not in "aeo" else f"{name}s"


def with_article(words: str) -> str:
    """Put `a` or `an` before the words."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def generic_nouns(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the names that may stand for any object of the vocabulary."""
    return GENERIC_NOUNS if vocabulary.shapes_only else GENERIC_NOUNS[:3]


def all_words(categories: Sequence[str], colours: Sequence[str]) -> tuple[str, ...]:
    """List every word and punctuation mark of texts about these categories and colours, each once.

    The order is fixed: a tokenizer numbers them by it.
    """
    return tuple(dict.fromkeys(_words(categories, colours)))


def _words(categories: Sequence[str], colours: Sequence[str]) -> Iterator[str]:
    yield from (*colours, *categories, *(plural(category) for category in categories))
    yield from (*NUMBERS, *ORDINALS, *GENERIC_NOUNS, *(f"{word}s" for word in GENERIC_NOUNS))
    yield from _OTHER_WORDS.split()
    yield from template_words(TEMPLATES)


def template_words(templates_by_meaning: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the words and punctuation marks of templates, without their fields."""
    for templates in templates_by_meaning.values():
        for template in templates:
            apart = template.replace("?", " ?").replace(",", " ,").replace(".", " .")
            yield from (word for word in apart.split() if not word.startswith("{"))
