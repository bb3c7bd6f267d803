"""Accuracy of a grounder's answers to questions about held-out scenes."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engines.protocols import Grounder
from lab.evaluation.held_out import Scene
from lab.training.language.questions import generate_questions
from streaming.vocabulary import QueryKind

_ARTICLES: Final = {"a", "an", "the"}


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Share of right answers to some questions."""

    questions: int
    right: float
    "Share of questions answered right; NaN without questions."
    commonest: float
    """Accuracy of always giving the most frequent right answer: the floor without an image. Over all kinds:
    the mean of their floors. Comparisons name both candidates: there, guessing is right half of the time."""


@dataclass(frozen=True, slots=True)
class AnsweringScore:
    """Figures of `score_answers`."""

    overall: Accuracy
    by_kind: dict[str, Accuracy]
    "By kind of question."


def score_answers(grounder: Grounder, scenes: Iterable[Scene]) -> AnsweringScore:
    """Ask all questions of `language.questions` about each scene; every question has one right answer."""
    by_kind = defaultdict[str, list[tuple[str, bool]]](list)
    for scene in scenes:
        questions = generate_questions(scene.clip, scene.frame, np.random.default_rng((scene.clip.seed, 3)))
        keyframe = scene.keyframe([question.text for question in questions], QueryKind.ASK)
        for question, answer in zip(questions, grounder.ground(keyframe), strict=True):
            right = normalise_answer(answer.text) == normalise_answer(question.answer)
            by_kind[question.kind].append((question.answer, right))
    accuracies = {kind: _accuracy(cases) for kind, cases in sorted(by_kind.items())}
    return AnsweringScore(overall=_overall(list(accuracies.values())), by_kind=accuracies)


def normalise_answer(answer: str) -> str:
    """Remove case, articles and a final full stop."""
    words = answer.casefold().strip().removesuffix(".").split()
    return " ".join(word for word in words if word not in _ARTICLES)


def _overall(accuracies: Sequence[Accuracy]) -> Accuracy:
    """Average over kinds, every question with the same weight."""
    count = sum(each.questions for each in accuracies)
    if not count:
        return Accuracy(0, math.nan, math.nan)
    right = sum(each.questions * each.right for each in accuracies) / count
    return Accuracy(count, right, sum(each.questions * each.commonest for each in accuracies) / count)


def _accuracy(cases: list[tuple[str, bool]]) -> Accuracy:
    """Return the accuracy of one kind; cases: right answers, and whether they were given."""
    commonest = Counter(answer for answer, _ in cases).most_common(1)[0][1]
    return Accuracy(len(cases), sum(right for _, right in cases) / len(cases), commonest / len(cases))
