"""Referring expressions about a frame, unambiguous by construction."""

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
from lab.training.language.frame_facts import FrameFacts
from lab.training.language.noun_phrases import Candidate
from lab.training.language.photo_expressions import PHOTO_KINDS
from lab.training.language.photo_facts import PhotoFacts, facts_about
from lab.training.scene_description import SceneDescription

MAX_PRESENT_PER_KIND: Final = 4
"Of each kind for one frame: so many expressions with a referent ..."
MAX_ABSENT_PER_KIND: Final = 2
"... and so many without."
ABSENT_ALONE_PROB: Final = 0.08
"About photographs: probability of an absent expression of a kind that has none with a referent there."
_MAX_CANDIDATES: Final = 60
"Candidates of a kind that are tried; with many objects most are in doubt."


@dataclass(frozen=True, slots=True)
class Expression:
    """A referring expression about a frame, and its referents."""

    text: str
    "Lower case, without a full stop."
    kind: str
    "A key of `EXPRESSION_KINDS` or, about a photograph, of `PHOTO_KINDS`."
    referents: tuple[int, ...]
    "Indices into the labels of the scene; () where the expression is about something absent."


EXPRESSION_KINDS: Final[dict[str, Callable[[FrameFacts, np.random.Generator], Iterator[Candidate]]]] = {
    "colour": name_expressions.colour,
    "kind": name_expressions.category,
    "both": name_expressions.both,
    "place": place_expressions.place,
    "size": place_expressions.size,
    "plural": name_expressions.several,
    "negation": name_expressions.negation,
    "ordinal": place_expressions.ordinal,
    "relation": relation_expressions.relation,
    "motion": motion_expressions.motion,
}
"A generator of candidates for each kind; the keys are those of results and of `Vocabulary.expression_kinds`."


def generate_expressions(scene: SceneDescription, frame: int, rng: np.random.Generator) -> list[Expression]:
    """Generate some expressions of each kind of the vocabulary, shuffled.

    About a third are about something absent: at most half as many as have a referent, or two. An object that
    is barely visible is neither referred to nor called absent.
    """
    facts = facts_about(scene, frame)
    present: list[Expression] = []
    absent: list[Expression] = []
    for kind in scene.vocabulary.expression_kinds:
        there, missing = _of_kind(kind, facts, rng)
        if isinstance(facts, PhotoFacts):
            missing = _no_more_than(there, kind, missing, rng)
        present += there
        absent += missing
    if scene.vocabulary.about_held_out:
        present = [expression for expression in present if _refers_to_held_out(scene, expression)]
    few = [absent[index] for index in rng.permutation(len(absent))][: max(2, len(present) // 2)]
    generated = present + few
    return [generated[index] for index in rng.permutation(len(generated))]


def _no_more_than(
    present: list[Expression], kind: str, absent: list[Expression], rng: np.random.Generator
) -> list[Expression]:
    """Return as many absent as present ones: photographs have few certain sizes, and absent ones abound.

    Else the words of a kind alone would tell that nothing is there.
    """
    if present or kind == "kind":
        return absent[: max(len(present), 1)]
    return absent[:1] if rng.random() < ABSENT_ALONE_PROB else []


def _refers_to_held_out(scene: SceneDescription, expression: Expression) -> bool:
    return any(scene.labels[index] in scene.vocabulary.held_out for index in expression.referents)


def _candidates(kind: str, facts: FrameFacts, rng: np.random.Generator) -> Iterator[Candidate]:
    if isinstance(facts, PhotoFacts):
        return PHOTO_KINDS[kind](facts, rng)
    return EXPRESSION_KINDS[kind](facts, rng)


def _of_kind(
    kind: str, facts: FrameFacts, rng: np.random.Generator
) -> tuple[list[Expression], list[Expression]]:
    """Generate expressions of a kind, with a referent and without."""
    present: dict[str, Expression] = {}
    absent: dict[str, Expression] = {}
    candidates = _candidates(kind, facts, rng)
    for _, (text, referents) in zip(range(_MAX_CANDIDATES), candidates, strict=False):
        if referents and len(present) < MAX_PRESENT_PER_KIND:
            present[text] = Expression(text, kind, referents)
        elif referents == () and len(absent) < MAX_ABSENT_PER_KIND:
            absent[text] = Expression(text, kind, ())
        if len(present) == MAX_PRESENT_PER_KIND and len(absent) == MAX_ABSENT_PER_KIND:
            break
    return list(present.values()), list(absent.values())
