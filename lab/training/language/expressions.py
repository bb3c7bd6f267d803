"""Words about a frame and the things they mean, unambiguous by construction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.training.language import (
    motion_expressions,
    name_expressions,
    place_expressions,
    relation_expressions,
)
from lab.training.language.nouns import Saying
from lab.training.language.view import View
from lab.training.world.holdout import Split, is_held_out, split_of
from lab.training.world.scenes import Clip

PER_KIND: Final = 4
"Most expressions of a kind about what is there ..."
ABSENT_PER_KIND: Final = 2
"... and about what is not, for one frame."
_PATIENCE: Final = 60
"Sayings of a kind that are tried; most are doubtful in a crowd."


@dataclass(frozen=True, slots=True)
class Expression:
    """Words about one frame and the things they mean."""

    text: str
    kind: str
    "Of `KINDS_OF_PHRASE`."
    targets: tuple[int, ...]
    "Indices into the clip's things; () where nothing is meant."


KINDS_OF_PHRASE: Final[dict[str, Callable[[View, np.random.Generator], Iterator[Saying]]]] = {
    "colour": name_expressions.colour,
    "kind": name_expressions.kind,
    "both": name_expressions.both,
    "place": place_expressions.place,
    "size": place_expressions.size,
    "plural": name_expressions.several,
    "negation": name_expressions.negation,
    "ordinal": place_expressions.ordinal,
    "relation": relation_expressions.relation,
    "motion": motion_expressions.motion,
}


def expressions(clip: Clip, frame: int, rng: np.random.Generator) -> list[Expression]:
    """Some of each kind that the clip's level knows, shuffled; half as many about what is not there.

    A thing that is mostly hidden is neither asked for nor called absent. Where the clip is about held-out
    combinations, so is every expression that means something.
    """
    view = View(clip, frame)
    present: list[Expression] = []
    absent: list[Expression] = []
    for kind in clip.level.phrases:
        there, missing = _of_kind(kind, view, rng)
        present += there
        absent += missing
    if split_of(clip.seed) is Split.COMBINATIONS:
        present = [one for one in present if any(is_held_out(clip.things[index]) for index in one.targets)]
    few = [absent[index] for index in rng.permutation(len(absent))][: max(2, len(present) // 2)]
    said = present + few
    return [said[index] for index in rng.permutation(len(said))]


def _of_kind(kind: str, view: View, rng: np.random.Generator) -> tuple[list[Expression], list[Expression]]:
    """Expressions of a kind that mean something, and that mean nothing."""
    present: dict[str, Expression] = {}
    absent: dict[str, Expression] = {}
    for _, (text, meaning) in zip(range(_PATIENCE), KINDS_OF_PHRASE[kind](view, rng), strict=False):
        if meaning and len(present) < PER_KIND:
            present[text] = Expression(text, kind, meaning)
        elif meaning == () and len(absent) < ABSENT_PER_KIND:
            absent[text] = Expression(text, kind, ())
        if len(present) == PER_KIND and len(absent) == ABSENT_PER_KIND:
            break
    return list(present.values()), list(absent.values())
