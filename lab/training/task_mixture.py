"""What nano is told and asked: the papers' four kinds of task, drawn for one picture or a short window.

A picture is shown alone, or with two of the same scene from shortly before, as the service shows them. About
it there are referring expressions (answered by `[SEG]`, or refused), questions (answered in words), and
now and then a grounded caption. Besides scenes' own expressions come words the model does not know: an
unknown word before a known noun changes nothing ("the shiny red circle"), an unknown noun is nothing it could
point at ("the red jacket").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engines.grounding.templates import DESCRIBE, Template
from lab.training.language.captions import generate_caption
from lab.training.language.expressions import Expression, generate_expressions
from lab.training.language.frame_facts import ObjectIndices
from lab.training.language.questions import generate_questions
from lab.training.nano_config import SIDE_PX
from lab.training.tokenizer import UNKNOWN, synonym
from lab.training.world.levels import Level
from lab.training.world.scenes import SAMPLE_FPS, Clip, draw_clip

STEP_S: Final = 0.3
"From one drawn picture of a window to the next."
WINDOW: Final = (0, 2, 3)
"Of four drawn, those that are shown: 0.9 s and 0.3 s before, and now."
WINDOW_EVERY: Final = 3
"One step in so many shows windows, once a level knows words about motion."
CAPTIONED: Final = 0.3
"Share of pictures that are to be described."
UNKNOWABLE: Final = 0.3
"Share of pictures of which something is asked that the model has no word for."
ASKED: Final = 6
"Questions about a picture that are answered in words."
PRACTISED: Final = {"relation": 4.0, "motion": 6.0, "ordinal": 3.0, "negation": 3.0, "kind": 2.0}
"""How much sooner than others a kind of expression is chosen. After 3,900 steps of stage `decoder` without,
J&F on held-out scenes was 0.29 for relation, 0.44 for ordinal, 0.51 for negation, 0.61 for kind, 0.68 to 0.80
for the rest; and of phrases about movements that nothing made none was refused. After 8,400 steps with 4, 3,
2, 2, 2 and half of a window's phrases about movements: 0.55, 0.55, 0.52, 0.73, and still 4 % refused."""


@dataclass(frozen=True, slots=True)
class Task:
    """Something put to the model about a picture, and its right answer."""

    question: tuple[int, ...]
    answer: tuple[int, ...]
    kind: str
    '"present", "absent", "caption", or the kind of question.'
    meant: tuple[ObjectIndices, ...]
    "What each `[SEG]` of the answer points at."
    about: ObjectIndices = ()
    "What one has to look at to answer in words."


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture, or a window of pictures, with its tasks."""

    clip: Clip
    "Only the pictures that are shown."
    tasks: tuple[Task, ...]


def shows_window(level: Level, step: int) -> bool:
    """Whether a step of training shows windows."""
    return "motion" in level.expression_kinds and step % WINDOW_EVERY == 0


def draw_shown(
    seed: int, level: Level, template: Template, *, window: bool, referring: int, side_px: int = SIDE_PX
) -> Shown:
    """One scene of a level, its last picture asked about, `referring` times for things and some more."""
    rng = np.random.default_rng((seed, 1))
    size = (side_px, side_px)
    if window:
        clip = draw_clip(seed, frames=WINDOW[-1] + 1, size=size, stride=STEP_S * SAMPLE_FPS, level=level)
    else:
        clip = draw_clip(seed, frames=1, size=size, level=level)
    tasks = _tasks(clip, template, referring, rng)
    return Shown(clip.take_frames(WINDOW) if window else clip, tasks)


def _tasks(clip: Clip, template: Template, referring: int, rng: np.random.Generator) -> tuple[Task, ...]:
    now = len(clip.frames) - 1
    said = chosen(generate_expressions(clip, now, rng), referring, rng)
    said = [vary(expression, rng) for expression in said]
    if not said or rng.random() < UNKNOWABLE:
        said = [*said[: referring - 1], _unknowable(clip.level, rng)]
    tasks = [_referring(expression, template) for expression in said]
    for question in generate_questions(clip, now, rng)[:ASKED]:
        asked, answer = template.user_question(question.text), template.assistant_answer(question.answer)
        tasks.append(Task(tuple(asked), tuple(answer), question.kind, (), question.about))
    if rng.random() < CAPTIONED and (described := generate_caption(clip, now, rng)):
        text = described.text.replace("</p>", "</p> [SEG]")
        asked, answer = template.user_question(DESCRIBE), template.assistant_answer(text)
        meant = tuple(phrase.referents for phrase in described.phrases)
        tasks.append(Task(tuple(asked), tuple(answer), "caption", meant))
    return tuple(tasks)


def chosen(said: Sequence[Expression], count: int, rng: np.random.Generator) -> list[Expression]:
    """So many of them: up to 2 in 5 mean nothing; a third of `count`, rounded down, or more is about motion
    where there is so much."""
    turns = [rng.exponential() / PRACTISED.get(one.kind, 1.0) for one in said]
    soonest = [said[index] for index in np.argsort(turns)]
    absent = [one for one in soonest if not one.referents][: 2 * count // 5]
    there = [one for one in soonest if one.referents]
    moving = [one for one in there if one.kind == "motion"][: count // 3]
    return [*absent, *moving, *(one for one in there if one not in moving)][:count]


def _referring(expression: Expression, template: Template) -> Task:
    question = tuple(template.segment_question(expression.text))
    if expression.referents:
        return Task(question, template.answer, "present", (expression.referents,))
    return Task(question, template.refusal, "absent", ())


def _unknowable(level: Level, rng: np.random.Generator) -> Expression:
    colour = f"{rng.choice(level.colours)} " if rng.random() < 0.6 else ""
    return Expression(f"the {colour}{UNKNOWN}", "kind", ())


def vary(expression: Expression, rng: np.random.Generator) -> Expression:
    """The same in other words."""
    words = [synonym(word, rng) for word in expression.text.split()]
    if rng.random() < 0.08 and expression.kind != "place":
        words.insert(1, UNKNOWN)
    roll = rng.random()
    if roll < 0.25 and words[0] == "the":
        words = words[1:] if roll < 0.15 else ["a", *words[1:]]
    return Expression(" ".join(words), expression.kind, expression.referents)
