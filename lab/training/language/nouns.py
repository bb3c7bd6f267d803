"""Names of things: by kind, by colour, by both or by neither, and what each means in a view."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from lab.training.language.lexicon import anything, plural
from lab.training.language.view import Seen, View
from lab.training.world.catalogue import Thing
from lab.training.world.levels import Level

Meaning = Seen | None
"The things that are meant, () for none at all; None where a careful person would not be sure."
Saying = tuple[str, Meaning]


class Noun(NamedTuple):
    """What is said of a thing's kind and colour."""

    kind: str | None = None
    colour: str | None = None

    def fits(self, thing: Thing) -> bool:
        """Whether the thing may be called so."""
        return self.kind in (None, thing.kind) and self.colour in (None, thing.colour)

    def one(self, level: Level, rng: np.random.Generator) -> str:
        """A single one, without an article. People are in a colour, not of it."""
        if self.kind == "person" and self.colour:
            return f"person in {self.colour}"
        return " ".join(filter(None, (self.colour, self.kind or self._anything(level, rng))))

    def many(self, level: Level, rng: np.random.Generator) -> str:
        """Several."""
        if self.kind == "person" and self.colour:
            return f"people in {self.colour}"
        name = plural(self.kind) if self.kind else f"{self._anything(level, rng)}s"
        return " ".join(filter(None, (self.colour, name)))

    def _anything(self, level: Level, rng: np.random.Generator) -> str:
        names = anything(level)
        # "The green thing" is as plain as "the green shape"; "the shape on the left" is not.
        known = names if self.colour else names[: level.wordings]
        return known[int(rng.integers(len(known)))]


def colour_of(kind: str | None, colour: str) -> str:
    """What a thing of that kind is said to be."""
    return f"in {colour}" if kind == "person" else colour


def meant(view: View, noun: Noun) -> Meaning:
    """All that fit, if none that is hardly seen does."""
    return view.called(noun.kind, noun.colour)


def single(meaning: Meaning) -> Meaning:
    """The same where it is one thing or none; several leave a doubt."""
    return meaning if meaning is not None and len(meaning) < 2 else None


def extreme(among: Meaning, beats: Callable[[int, int], bool | None]) -> Meaning:
    """The one of at least two that beats all others beyond doubt."""
    if among is None or len(among) < 2:
        return None
    for one in among:
        if all(beats(one, other) for other in among if other != one):
            return (one,)
    return None


def filtered(among: Meaning, holds: Callable[[int], bool | None]) -> Meaning:
    """Those of which it holds; None where it is in doubt of any."""
    if among is None:
        return None
    verdicts = [holds(index) for index in among]
    if None in verdicts:
        return None
    return tuple(index for index, verdict in zip(among, verdicts, strict=True) if verdict)


def sayable(view: View, noun: Noun) -> bool:
    """Whether the noun may be said in the view's clip."""
    return not (noun.kind and noun.colour) or view.may_name(Thing(noun.kind, noun.colour))


def nouns_there(view: View, rng: np.random.Generator) -> Iterator[Noun]:
    """Names of what is seen, in random order, the bare one too; each once."""
    yield from (Noun(*view.names[index]) for index in rng.permutation(len(view.names)).tolist())


def unique_names(view: View, rng: np.random.Generator) -> Iterator[tuple[Noun, int]]:
    """Names that mean exactly one seen thing, with that thing, in random order."""
    for noun in nouns_there(view, rng):
        meaning = meant(view, noun)
        if noun != Noun() and meaning is not None and len(meaning) == 1:
            yield noun, meaning[0]


def near_misses(view: View, rng: np.random.Generator) -> Iterator[Noun]:
    """Full names of nothing that is there, the likeliest mistakes mostly first: of a colour and a kind that
    are both there, then of one of them, then of neither."""
    there = [view.things[index] for index in (*view.seen, *view.doubtful)]
    colours = list(dict.fromkeys(thing.colour for thing in there))
    kinds = list(dict.fromkeys(thing.kind for thing in there))
    ranked = dict.fromkeys((Thing(kind, colour) for colour in colours for kind in kinds), 0.0)
    for kind in kinds:
        ranked.setdefault(Thing(kind, _any(view.level.colours, rng)), 1.0)
    for _ in range(2):
        ranked.setdefault(Thing(_any(view.level.kinds, rng), _any(view.level.colours, rng)), 2.0)
    missing = [thing for thing in ranked if thing not in there]
    order = np.argsort([ranked[thing] + rng.uniform(0, 1.5) for thing in missing])
    for index in order:
        noun = Noun(missing[index].kind, missing[index].colour)
        if sayable(view, noun):
            yield noun


def _any(names: tuple[str, ...], rng: np.random.Generator) -> str:
    return names[int(rng.integers(len(names)))]
