"""The task mixture: what nano is asked about an image or a window of images, with the right answers.

The mixture has Sa2VA's four kinds of task: referring segmentation (answered with `[SEG]`, or refused), visual
questions answered in words, grounded captions, each on single images and on windows of the images that the
service shows. Some expressions contain a word outside of the vocabulary: as an adjective it changes nothing
("the shiny red circle"), as a noun it names nothing that is there ("the red jacket").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engines.grounding.templates import DESCRIBE, Template
from lab.training.language.captions import generate_caption
from lab.training.language.expressions import Expression, generate_expressions
from lab.training.language.frame_facts import ObjectIndices
from lab.training.language.photo_nouns import rename_person
from lab.training.language.questions import generate_questions
from lab.training.nano_config import VISION_SIDE_PX
from lab.training.tokenizer import UNKNOWN, maybe_synonym
from lab.training.world.levels import Level
from lab.training.world.photo_samples import PhotoSampler
from lab.training.world.photo_views import PhotoView
from lab.training.world.scenes import SAMPLE_FPS, Clip, draw_clip

WINDOW_STEP_S: Final = 0.3
"Seconds from one drawn frame of a window to the next."
WINDOW: Final = (0, 2, 3)
"Indices of the frames that a window shows, of four drawn: 0.9 s and 0.3 s ago, and now."
WINDOW_EVERY: Final = 3
"One step in so many has windows, from the level on that has expressions of motion."
MIX_STEPS: Final = 7
"""Of so many steps those of DRAWN_STEPS are of the drawn world, the others of photographs. No factor in
common with WINDOW_EVERY and `grounding_recipe.LANGUAGE_EVERY`: each of them occurs with each."""
DRAWN_STEPS: Final = (2, 5)
CAPTION_PROB: Final = 0.3
"Probability that a sample has a captioning task."
UNKNOWN_NOUN_PROB: Final = 0.3
"Probability that a sample has an expression whose noun is outside of the vocabulary."
MAX_QUESTIONS: Final = 6
"Most questions of a sample that are answered in words."
SAMPLING_WEIGHTS: Final = {
    "relation": 4.0,
    "motion": 6.0,
    "ordinal": 3.0,
    "negation": 3.0,
    "kind": 2.0,
    "clothing": 2.0,
}
"""How much more likely than others an expression of a kind is sampled. After 3,900 steps of stage `decoder`
with equal weights, J&F on held-out scenes was 0.29 for relation, 0.44 for ordinal, 0.51 for negation, 0.61
for kind, 0.68 to 0.80 for others, and no expression of an absent motion was refused. After 8,400 steps with
4, 3, 2, 2, 2 and at least half of a window's expressions about motion: 0.55, 0.55, 0.52, 0.73, and 4 % of
them refused."""


RENAMED_KINDS: Final = ("place", "clothing", "both", "relation")
"Kinds of expressions that may say man or woman for a person: who that is does not change what they mean."


@dataclass(frozen=True, slots=True)
class Task:
    """A question with its answer, as tokens."""

    question: tuple[int, ...]
    answer: tuple[int, ...]
    kind: str
    '"present", "absent", "caption", or the kind of question.'
    referents: tuple[ObjectIndices, ...]
    "The objects of each `[SEG]` of the answer."
    attended: ObjectIndices = ()
    "The objects that an answer in words is about."


@dataclass(frozen=True, slots=True)
class TaskSample:
    """An image, or a window of images, with its tasks."""

    clip: Clip | PhotoView
    "Only the frames that are shown; tasks are about the last of them."
    tasks: tuple[Task, ...]


def has_photographs(step: int) -> bool:
    """Return whether the samples of a training step are photographs, where there are any."""
    return step % MIX_STEPS not in DRAWN_STEPS


def has_windows(level: Level, step: int) -> bool:
    """Return whether the samples of a training step are windows."""
    return "motion" in level.expression_kinds and step % WINDOW_EVERY == 0


def draw_task_sample(
    seed: int,
    level: Level,
    template: Template,
    *,
    window: bool,
    expressions: int,
    side_px: int = VISION_SIDE_PX,
) -> TaskSample:
    """Draw a scene of a level with at most `expressions` referring tasks, and other tasks beside them."""
    rng = np.random.default_rng((seed, 1))
    size = (side_px, side_px)
    if window:
        stride = WINDOW_STEP_S * SAMPLE_FPS
        clip = draw_clip(seed, frames=WINDOW[-1] + 1, size=size, stride=stride, level=level)
    else:
        clip = draw_clip(seed, frames=1, size=size, level=level)
    tasks = _tasks(clip, template, expressions, rng)
    return TaskSample(clip.take_frames(WINDOW) if window else clip, tasks)


def draw_photo_sample(
    sampler: PhotoSampler, seed: int, template: Template, *, expressions: int, side_px: int = VISION_SIDE_PX
) -> TaskSample:
    """Draw a view of photographs with tasks of the same kinds, but for motion."""
    view = sampler.draw(seed, side_px)
    return TaskSample(view, _tasks(view, template, expressions, np.random.default_rng((seed, 8))))


def _tasks(
    clip: Clip | PhotoView, template: Template, count: int, rng: np.random.Generator
) -> tuple[Task, ...]:
    now = len(clip.frames) - 1
    expressions = sample_expressions(generate_expressions(clip, now, rng), count, rng)
    if isinstance(clip, Clip):
        expressions = [paraphrase(expression, rng) for expression in expressions]
    else:
        expressions = [_paraphrase_of_photograph(expression, clip, rng) for expression in expressions]
    if not expressions or rng.random() < UNKNOWN_NOUN_PROB:
        expressions = [*expressions[: count - 1], _unknown_noun(clip.vocabulary.colours, rng)]
    tasks = [_referring_task(expression, template) for expression in expressions]
    for question in generate_questions(clip, now, rng)[:MAX_QUESTIONS]:
        asked, answer = template.user_question(question.text), template.assistant_answer(question.answer)
        tasks.append(Task(tuple(asked), tuple(answer), question.kind, (), question.about))
    if rng.random() < CAPTION_PROB and (caption := generate_caption(clip, now, rng)):
        text = caption.text.replace("</p>", "</p> [SEG]")
        asked, answer = template.user_question(DESCRIBE), template.assistant_answer(text)
        referents = tuple(phrase.referents for phrase in caption.phrases)
        tasks.append(Task(tuple(asked), tuple(answer), "caption", referents))
    return tuple(tasks)


def sample_expressions(
    expressions: Sequence[Expression], count: int, rng: np.random.Generator
) -> list[Expression]:
    """Sample `count` of the expressions without replacement, by `SAMPLING_WEIGHTS`.

    At most 2 in 5 have no referent; at least a third of `count`, rounded down, is about motion where there
    are so many.
    """
    # Exponential clocks: sorting by them samples without replacement in proportion to the weights.
    keys = [rng.exponential() / SAMPLING_WEIGHTS.get(one.kind, 1.0) for one in expressions]
    ordered = [expressions[index] for index in np.argsort(keys)]
    absent = [one for one in ordered if not one.referents][: 2 * count // 5]
    present = [one for one in ordered if one.referents]
    motion = [one for one in present if one.kind == "motion"][: count // 3]
    return [*absent, *motion, *(one for one in present if one not in motion)][:count]


def _referring_task(expression: Expression, template: Template) -> Task:
    question = tuple(template.segment_question(expression.text))
    if expression.referents:
        return Task(question, template.answer, "present", (expression.referents,))
    return Task(question, template.refusal, "absent", ())


def _unknown_noun(colours: Sequence[str], rng: np.random.Generator) -> Expression:
    colour = f"{rng.choice(colours)} " if rng.random() < 0.6 else ""
    return Expression(f"the {colour}{UNKNOWN}", "kind", ())


def _paraphrase_of_photograph(
    expression: Expression, view: PhotoView, rng: np.random.Generator
) -> Expression:
    """Paraphrase without synonyms of words, which the nouns have already: "hot dog" has no "hot puppy"."""
    if expression.kind in RENAMED_KINDS and len(expression.referents) == 1:
        text = rename_person(expression.text, view, expression.referents[0], rng)
        expression = replace(expression, text=text)
    return paraphrase(expression, rng, _same)


def _same(word: str, _: np.random.Generator) -> str:
    return word


def paraphrase(
    expression: Expression,
    rng: np.random.Generator,
    synonym: Callable[[str, np.random.Generator], str] = maybe_synonym,
) -> Expression:
    """Return the expression with random synonyms, article, and an unknown adjective now and then."""
    words = [synonym(word, rng) for word in expression.text.split()]
    if rng.random() < 0.08 and expression.kind != "place" and words[0] != "everyone":
        words.insert(1, UNKNOWN)
    roll = rng.random()
    if roll < 0.25 and words[0] == "the":
        words = words[1:] if roll < 0.15 else ["a", *words[1:]]
    return Expression(" ".join(words), expression.kind, expression.referents)
