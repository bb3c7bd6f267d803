"""Expressions by what things are: colour, kind, both; several of them; all but some."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lab.training.language.lexicon import NUMBERS, say
from lab.training.language.nouns import (
    Noun,
    Saying,
    colour_of,
    filtered,
    meant,
    near_misses,
    nouns_there,
    sayable,
    single,
    unique_names,
)
from lab.training.language.view import View
from lab.training.world.catalogue import Thing


def colour(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "the red thing"; every colour of the level, there or not."""
    yield from (_named(view, Noun(None, name), rng) for name in rng.permutation(view.level.colours).tolist())


def kind(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "the cup"; every kind of the level, there or not."""
    yield from (_named(view, Noun(name), rng) for name in rng.permutation(view.level.kinds).tolist())


def both(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "the red cup"; all that are there, and near misses."""
    there = [noun for noun in nouns_there(view, rng) if noun.kind and noun.colour]
    yield from (_named(view, noun, rng) for noun in (*there, *near_misses(view, rng)))


def several(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "all red things", "both cups"."""
    for noun in nouns_there(view, rng):
        meaning = meant(view, noun)
        if meaning is None or len(meaning) < 2:
            continue
        ways = ["all", "numbered", *["both"] * (2 if len(meaning) == 2 else 0)]
        yield _several(view, noun, ways[int(rng.integers(len(ways)))], len(meaning), rng), meaning
    for noun in near_misses(view, rng):
        lesser = (noun, Noun(noun.kind), Noun(None, noun.colour))[int(rng.integers(3))]
        if meant(view, lesser) == ():
            yield _several(view, lesser, "all", 0, rng), ()


def negation(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "the star that is not red", "all things that are not red", "everything but the dog"."""
    for noun in nouns_there(view, rng):
        if noun.colour is None:
            yield from _not_of_a_colour(view, noun, rng)
    for noun, index in unique_names(view, rng):
        others = meant(view, Noun())
        if others is not None and len(others) > 1:
            but = tuple(one for one in others if one != index)
            yield say("all but", view.level, rng, other=f"the {noun.one(view.level, rng)}"), but


def _not_of_a_colour(view: View, noun: Noun, rng: np.random.Generator) -> Iterator[Saying]:
    among = meant(view, noun)
    if not among:
        return
    colours = list(dict.fromkeys(view.things[index].colour for index in among))
    name = colours[int(rng.integers(len(colours)))]
    if noun.kind and not view.may_name(Thing(noun.kind, name)):
        return
    left = filtered(among, lambda index: view.things[index].colour != name)
    not_so = colour_of(noun.kind, name)
    if left is not None and len(left) > 1:
        yield (
            say(
                "all not",
                view.level,
                rng,
                many=noun.many(view.level, rng),
                one=noun.one(view.level, rng),
                colour=not_so,
            ),
            left,
        )
    else:
        yield say("not", view.level, rng, one=noun.one(view.level, rng), colour=not_so), left


def _named(view: View, noun: Noun, rng: np.random.Generator) -> Saying:
    words = say("name", view.level, rng, one=noun.one(view.level, rng))
    return words, single(meant(view, noun)) if sayable(view, noun) else None


def _several(view: View, noun: Noun, way: str, count: int, rng: np.random.Generator) -> str:
    one, many = noun.one(view.level, rng), noun.many(view.level, rng)
    return say(way, view.level, rng, one=one, many=many, number=NUMBERS[count])
