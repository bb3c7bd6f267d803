"""Expressions by what stands beside, before or behind a thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lab.training.language.lexicon import say
from lab.training.language.nouns import Noun, Saying, filtered, meant, nouns_there, single, unique_names
from lab.training.language.view import View

Holds = Callable[[View, int, int], bool | None]
"Whether a relation holds between the first thing and the second; None in doubt."
RELATIONS: Final[dict[str, Holds]] = {
    "left of": lambda view, one, other: view.beside(one, other, 0),
    "right of": lambda view, one, other: view.beside(other, one, 0),
    "above": lambda view, one, other: view.beside(one, other, 1),
    "below": lambda view, one, other: view.beside(other, one, 1),
    "behind": lambda view, one, other: view.behind(one, other),
    "in front": lambda view, one, other: view.behind(other, one),
}
_WAYS: Final = tuple(RELATIONS)


def relation(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """ "the dog behind the red cup", "the small carrot with a large carrot to its left"."""
    nouns, landmarks = list(nouns_there(view, rng)), list(unique_names(view, rng))
    for noun in nouns:
        if noun.kind:
            yield from _to_its_like(view, noun, rng)
    links = [(noun, landmark, other) for noun in nouns for landmark, other in landmarks]
    order = [links[k] for k in rng.permutation(len(links))]
    # What hides what is rarely certain and soon drowned by sides: it is said first.
    for way in ("behind", "in front"):
        certain = [
            (one, other) for one in view.seen for other in view.seen if RELATIONS[way](view, one, other)
        ]
        for one, other in certain:
            named = [link for link in order if link[2] == other and link[0].fits(view.things[one])]
            yield from (_to_landmark(view, link, way, rng) for link in named[:1])
    for link in order:
        if not link[0].fits(view.things[link[2]]):
            yield _to_landmark(view, link, _WAYS[int(rng.integers(len(_WAYS)))], rng)


def _to_landmark(view: View, link: tuple[Noun, Noun, int], way: str, rng: np.random.Generator) -> Saying:
    """Of a noun and a landmark with its thing."""
    noun, landmark, other = link
    one, thing = noun.one(view.level, rng), f"the {landmark.one(view.level, rng)}"
    among = filtered(meant(view, noun), lambda index: index != other)
    meaning = single(filtered(among, lambda index: RELATIONS[way](view, index, other)))
    return say(way, view.level, rng, one=one, other=thing), meaning


def _to_its_like(view: View, noun: Noun, rng: np.random.Generator) -> Iterator[Saying]:
    """One beside a larger or a smaller one of the same name."""
    among = meant(view, noun)
    if among is None or len(among) < 2:
        return
    size, side = ("larger", "smaller")[int(rng.integers(2))], ("left", "right")[int(rng.integers(2))]
    meaning = single(filtered(among, lambda one: _has_like(view, one, among, size, side)))
    yield say(f"{size} {side}", view.level, rng, one=noun.one(view.level, rng)), meaning


def _has_like(view: View, one: int, among: tuple[int, ...], size: str, side: str) -> bool | None:
    verdicts = []
    for other in among:
        if other == one:
            continue
        larger = view.larger(other, one) if size == "larger" else view.larger(one, other)
        beside = view.beside(other, one, 0) if side == "left" else view.beside(one, other, 0)
        verdicts.append(None if None in (larger, beside) else bool(larger and beside))
    if True in verdicts:
        return True
    return None if None in verdicts else False
