"""Questions about a frame with short answers: how many, of what colour, is there one, which is larger, which
way does it go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.training.language.lexicon import NUMBERS, say, with_article
from lab.training.language.nouns import Noun, meant, near_misses, nouns_there, unique_names
from lab.training.language.place_expressions import SIDES
from lab.training.language.view import PLACE_GAP, Seen, View
from lab.training.world.scenes import Clip

PER_KIND: Final = 3
"Most questions of a kind about one frame."


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one frame and its one right answer."""

    text: str
    answer: str
    kind: str
    "Of `KINDS_OF_QUESTION`."
    about: Seen
    "The things that one has to look at; () where there is none."


Saying = tuple[str, tuple[str, Seen]]
"""A question's text, its answer and what it is about."""


def questions(clip: Clip, frame: int, rng: np.random.Generator) -> list[Question]:
    """Some of each kind, shuffled; nothing whose answer hangs on a thing that is hardly seen."""
    view = View(clip, frame)
    asked: list[Question] = []
    for kind, ask in KINDS_OF_QUESTION.items():
        told = _spread(dict(ask(view, rng)), rng)
        asked += [Question(text, answer, kind, about) for text, (answer, about) in told]
    return [asked[index] for index in rng.permutation(len(asked))]


def _spread(pairs: dict[str, tuple[str, Seen]], rng: np.random.Generator) -> list[Saying]:
    """Some of the questions, their answers as different as can be: else "one" and "yes" would always do."""
    by_answer: dict[str, list[str]] = {}
    for index in rng.permutation(len(pairs)):
        text, (answer, _) = list(pairs.items())[index]
        by_answer.setdefault(answer, []).append(text)
    luck = {answer: rng.random() for answer in by_answer}
    turns = [
        (turn, luck[answer], text) for answer, texts in by_answer.items() for turn, text in enumerate(texts)
    ]
    return [(text, pairs[text]) for _, _, text in sorted(turns)[:PER_KIND]]


def _count(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    nouns = [*nouns_there(view, rng), *(_lesser(noun, rng) for noun in near_misses(view, rng))]
    for noun in nouns:
        among = meant(view, noun)
        if among is not None:
            text = say("how many", view.level, rng, many=noun.many(view.level, rng))
            yield text, (NUMBERS[len(among)], among)


def _colour(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    for noun, index in unique_names(view, rng):
        if noun.colour is None:
            way = "what colour worn" if noun.kind == "person" else "what colour"
            other = f"the {noun.one(view.level, rng)}"
            yield say(way, view.level, rng, other=other), (view.things[index].colour, (index,))


def _kind(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    for noun, index in unique_names(view, rng):
        if noun.kind is None:
            other = f"the {noun.one(view.level, rng)}"
            yield say("what kind", view.level, rng, other=other), (view.things[index].kind, (index,))


def _presence(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    there = [noun for noun in nouns_there(view, rng) if noun != Noun()]
    for noun in (*there, *(_lesser(noun, rng) for noun in near_misses(view, rng))):
        among = meant(view, noun)
        if among is not None:
            text = say("is there", view.level, rng, a=with_article(noun.one(view.level, rng)))
            yield text, ("yes" if among else "no", among)


def _comparison(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """Between two things of which each has a name of its own; the answer is that name."""
    named: dict[int, Noun] = {}
    for noun, index in unique_names(view, rng):
        named.setdefault(index, noun)
    for one in named:
        for other in named:
            if one < other:
                yield from _between(view, (one, named[one]), (other, named[other]), rng)


def _between(
    view: View, first: tuple[int, Noun], second: tuple[int, Noun], rng: np.random.Generator
) -> Iterator[Saying]:
    if rng.random() < 0.5:
        first, second = second, first
    names = [f"the {noun.one(view.level, rng)}" for _, noun in (first, second)]
    both = (first[0], second[0])
    larger = view.larger(first[0], second[0])
    if larger is not None:
        way = ("larger", "smaller")[int(rng.integers(2))]
        answer = names[0] if larger == (way == "larger") else names[1]
        yield say(f"which {way}", view.level, rng, other=names[0], another=names[1]), (answer, both)
    side, axis, sign = SIDES[int(rng.integers(4))]
    ahead = sign * float(view.centres[second[0], axis] - view.centres[first[0], axis])
    if abs(ahead) >= PLACE_GAP:
        answer = names[0] if ahead > 0 else names[1]
        yield say(f"which {side}", view.level, rng, other=names[0], another=names[1]), (answer, both)


def _motion(view: View, rng: np.random.Generator) -> Iterator[Saying]:
    """Whether a thing with a name of its own moves, and which way; nothing where too little is shown."""
    if not view.moves_known:
        return
    for noun, index in unique_names(view, rng):
        other = f"the {noun.one(view.level, rng)}"
        moves = view.moves(index)
        if moves is not None:
            yield say("is moving", view.level, rng, other=other), ("yes" if moves else "no", (index,))
        ways = [way for way, goes in WAYS_TO_GO.items() if goes(view, index)]
        if len(ways) == 1:
            yield say("which way", view.level, rng, other=other), (ways[0], (index,))


WAYS_TO_GO: Final[dict[str, Callable[[View, int], bool | None]]] = {
    "left": lambda view, index: view.goes(index, 0, -1),
    "right": lambda view, index: view.goes(index, 0, 1),
    "up": lambda view, index: view.goes(index, 1, -1),
    "down": lambda view, index: view.goes(index, 1, 1),
}


def _lesser(noun: Noun, rng: np.random.Generator) -> Noun:
    """The whole name, or its kind or its colour alone."""
    return (noun, Noun(noun.kind), Noun(None, noun.colour))[int(rng.integers(3))]


KINDS_OF_QUESTION: Final[dict[str, Callable[[View, np.random.Generator], Iterator[Saying]]]] = {
    "count": _count,
    "colour": _colour,
    "kind": _kind,
    "presence": _presence,
    "comparison": _comparison,
    "motion": _motion,
}
