"""Questions about a frame with one short answer: count, colour, category, presence, comparison, motion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lab.training.language.frame_facts import PLACE_MARGIN, FrameFacts, ObjectIndices
from lab.training.language.lexicon import NUMBERS, realise, with_article
from lab.training.language.noun_phrases import (
    NounPhrase,
    is_person,
    near_misses,
    referents_of,
    unique_nouns,
    visible_nouns,
)
from lab.training.language.photo_facts import PhotoFacts, facts_about
from lab.training.language.place_expressions import SIDES
from lab.training.scene_description import SceneDescription

MAX_PER_KIND: Final = 3
"Questions of a kind about one frame."


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a frame and its only right answer."""

    text: str
    "Lower case, with a question mark unless it is an order."
    answer: str
    "A number, a colour, a category, yes, no, a direction, or a noun phrase of the question."
    kind: str
    "A key of `QUESTION_KINDS`."
    about: ObjectIndices
    "The objects that decide the answer; () if it is about something absent."


_Candidate = tuple[str, tuple[str, ObjectIndices]]
"The text of a question, its answer, and the objects that decide it."


def generate_questions(scene: SceneDescription, frame: int, rng: np.random.Generator) -> list[Question]:
    """Generate some questions of each kind, shuffled; no answer depends on a barely visible object."""
    facts = facts_about(scene, frame)
    if isinstance(facts, PhotoFacts):
        facts = facts.countable()
    generated: list[Question] = []
    for kind, candidates in QUESTION_KINDS.items():
        chosen = _with_different_answers(dict(candidates(facts, rng)), rng)
        generated += [Question(text, answer, kind, about) for text, (answer, about) in chosen]
    return [generated[index] for index in rng.permutation(len(generated))]


def _with_different_answers(
    candidates: dict[str, tuple[str, ObjectIndices]], rng: np.random.Generator
) -> list[_Candidate]:
    """Choose MAX_PER_KIND questions with answers as different as possible.

    Without this, "one" and "yes" would be right most of the time.
    """
    by_answer: dict[str, list[str]] = {}
    for index in rng.permutation(len(candidates)):
        text, (answer, _) = list(candidates.items())[index]
        by_answer.setdefault(answer, []).append(text)
    tie_break = {answer: rng.random() for answer in by_answer}
    ranked = [
        (rank, tie_break[answer], text)
        for answer, texts in by_answer.items()
        for rank, text in enumerate(texts)
    ]
    return [(text, candidates[text]) for _, _, text in sorted(ranked)[:MAX_PER_KIND]]


def _count(facts: FrameFacts, rng: np.random.Generator) -> Iterator[_Candidate]:
    nouns = [*visible_nouns(facts, rng), *(_shortened(noun, rng) for noun in near_misses(facts, rng))]
    for noun in nouns:
        among = referents_of(facts, noun)
        if among is not None and len(among) < len(NUMBERS):
            text = realise("how many", facts.vocabulary, rng, many=noun.plural(facts.vocabulary, rng))
            yield text, (NUMBERS[len(among)], among)


def _colour(facts: FrameFacts, rng: np.random.Generator) -> Iterator[_Candidate]:
    for noun, index in unique_nouns(facts, rng):
        if noun.colour is None and facts.labels[index].colour:
            meaning = "what colour worn" if is_person(noun.category) else "what colour"
            text = realise(meaning, facts.vocabulary, rng, other=_the(facts, noun, rng))
            yield text, (facts.labels[index].colour, (index,))


def _category(facts: FrameFacts, rng: np.random.Generator) -> Iterator[_Candidate]:
    for noun, index in unique_nouns(facts, rng):
        if noun.category is None:
            text = realise("what kind", facts.vocabulary, rng, other=_the(facts, noun, rng))
            yield text, (facts.labels[index].category, (index,))


def _presence(facts: FrameFacts, rng: np.random.Generator) -> Iterator[_Candidate]:
    there = [noun for noun in visible_nouns(facts, rng) if noun != NounPhrase()]
    for noun in (*there, *(_shortened(noun, rng) for noun in near_misses(facts, rng))):
        among = referents_of(facts, noun)
        if among is not None:
            a_noun = with_article(noun.singular(facts.vocabulary, rng))
            yield realise("is there", facts.vocabulary, rng, a=a_noun), ("yes" if among else "no", among)


def _comparison(facts: FrameFacts, rng: np.random.Generator) -> Iterator[_Candidate]:
    """Compare two objects that each have a unique noun phrase; the answer is that of one of them."""
    nouns: dict[int, NounPhrase] = {}
    for noun, index in unique_nouns(facts, rng):
        nouns.setdefault(index, noun)
    for one in nouns:
        for other in nouns:
            if one < other:
                yield from _comparisons_of(facts, (one, nouns[one]), (other, nouns[other]), rng)


def _comparisons_of(
    facts: FrameFacts,
    first: tuple[int, NounPhrase],
    second: tuple[int, NounPhrase],
    rng: np.random.Generator,
) -> Iterator[_Candidate]:
    if rng.random() < 0.5:
        first, second = second, first
    names = [_the(facts, noun, rng) for _, noun in (first, second)]
    about = (first[0], second[0])
    larger = facts.is_larger(first[0], second[0])
    if larger is not None:
        size = ("larger", "smaller")[int(rng.integers(2))]
        answer = names[0] if larger == (size == "larger") else names[1]
        text = realise(f"which {size}", facts.vocabulary, rng, other=names[0], another=names[1])
        yield text, (answer, about)
    side, axis, sign = SIDES[int(rng.integers(4))]
    lead = sign * float(facts.visible_centres[second[0], axis] - facts.visible_centres[first[0], axis])
    if abs(lead) >= PLACE_MARGIN:
        answer = names[0] if lead > 0 else names[1]
        text = realise(f"which {side}", facts.vocabulary, rng, other=names[0], another=names[1])
        yield text, (answer, about)


def _motion(facts: FrameFacts, rng: np.random.Generator) -> Iterator[_Candidate]:
    """Ask whether, and in which direction, an object with a unique noun phrase moves."""
    if not facts.has_motion_history:
        return
    for noun, index in unique_nouns(facts, rng):
        the_noun = _the(facts, noun, rng)
        moving = facts.is_moving(index)
        if moving is not None:
            text = realise("is moving", facts.vocabulary, rng, other=the_noun)
            yield text, ("yes" if moving else "no", (index,))
        directions = [direction for direction, holds in DIRECTIONS.items() if holds(facts, index)]
        if len(directions) == 1:
            yield realise("which way", facts.vocabulary, rng, other=the_noun), (directions[0], (index,))


DIRECTIONS: Final[dict[str, Callable[[FrameFacts, int], bool | None]]] = {
    "left": lambda facts, index: facts.moves_towards(index, 0, -1),
    "right": lambda facts, index: facts.moves_towards(index, 0, 1),
    "up": lambda facts, index: facts.moves_towards(index, 1, -1),
    "down": lambda facts, index: facts.moves_towards(index, 1, 1),
}
"By answer."


def _the(facts: FrameFacts, noun: NounPhrase, rng: np.random.Generator) -> str:
    return f"the {noun.singular(facts.vocabulary, rng)}"


def _shortened(noun: NounPhrase, rng: np.random.Generator) -> NounPhrase:
    """Return the noun phrase, its category alone or its colour alone."""
    return (noun, NounPhrase(noun.category), NounPhrase(None, noun.colour))[int(rng.integers(3))]


QUESTION_KINDS: Final[dict[str, Callable[[FrameFacts, np.random.Generator], Iterator[_Candidate]]]] = {
    "count": _count,
    "colour": _colour,
    "kind": _category,
    "presence": _presence,
    "comparison": _comparison,
    "motion": _motion,
}
"A generator of candidates for each kind; the keys are those of results."
