"""How well a grounder answers in words: questions about held-out scenes, each with one right answer."""

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
class Right:
    """How many questions were answered right."""

    questions: int
    right: float
    "Share of them; NaN of none."
    commonest: float
    """Share that the one answer which is right most often would have got; over all kinds, that of each kind:
    the floor for who does not look. Not for comparisons, which name both answers: guessing gets half."""


@dataclass(frozen=True, slots=True)
class AnsweringScore:
    """Figures of `score_answers`."""

    overall: Right
    by_kind: dict[str, Right]
    "By kind of question."


def score_answers(grounder: Grounder, scenes: Iterable[Scene]) -> AnsweringScore:
    """Ask everything that `language.questions` asks about scenes."""
    by_kind = defaultdict[str, list[tuple[str, bool]]](list)
    for scene in scenes:
        asked = generate_questions(scene.clip, scene.frame, np.random.default_rng((scene.clip.seed, 3)))
        keyframe = scene.keyframe([question.text for question in asked], QueryKind.ASK)
        for question, answer in zip(asked, grounder.ground(keyframe), strict=True):
            verdict = normalised(answer.text) == normalised(question.answer)
            by_kind[question.kind].append((question.answer, verdict))
    rights = {kind: _right(cases) for kind, cases in sorted(by_kind.items())}
    return AnsweringScore(overall=_together(list(rights.values())), by_kind=rights)


def normalised(answer: str) -> str:
    """An answer without case, articles and final full stop."""
    words = answer.casefold().strip().removesuffix(".").split()
    return " ".join(word for word in words if word not in _ARTICLES)


def _together(rights: Sequence[Right]) -> Right:
    """All kinds, every question alike."""
    count = sum(one.questions for one in rights)
    if not count:
        return Right(0, math.nan, math.nan)
    right = sum(one.questions * one.right for one in rights) / count
    return Right(count, right, sum(one.questions * one.commonest for one in rights) / count)


def _right(cases: list[tuple[str, bool]]) -> Right:
    """Of one kind; `cases` are right answers, and whether they were given."""
    commonest = Counter(answer for answer, _ in cases).most_common(1)[0][1]
    return Right(len(cases), sum(verdict for _, verdict in cases) / len(cases), commonest / len(cases))
