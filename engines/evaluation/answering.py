"""How well a grounder answers in words: questions about held-out scenes, each with one right answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from engines.evaluation.held_out import Scene
from engines.protocols import Grounder
from engines.training.language.questions import questions
from streaming.vocabulary import QueryKind

_ARTICLES: Final = {"a", "an", "the"}


@dataclass(frozen=True, slots=True)
class Right:
    """How many questions were answered right."""

    questions: int
    right: float
    "Share of them; NaN of none."
    commonest: float
    "Share that the one answer which is right most often would have got: the floor."


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
        asked = questions(scene.clip, scene.frame, np.random.default_rng((scene.clip.seed, 3)))
        keyframe = scene.keyframe([question.text for question in asked], QueryKind.ASK)
        for question, answer in zip(asked, grounder.ground(keyframe), strict=True):
            verdict = normalised(answer.text) == normalised(question.answer)
            by_kind[question.kind].append((question.answer, verdict))
    return AnsweringScore(
        overall=_right([case for cases in by_kind.values() for case in cases]),
        by_kind={kind: _right(cases) for kind, cases in sorted(by_kind.items())},
    )


def normalised(answer: str) -> str:
    """An answer without case, articles and final full stop."""
    words = answer.casefold().strip().removesuffix(".").split()
    return " ".join(word for word in words if word not in _ARTICLES)


def _right(cases: list[tuple[str, bool]]) -> Right:
    """`cases` are right answers, and whether they were given."""
    if not cases:
        return Right(0, float("nan"), float("nan"))
    commonest = Counter(answer for answer, _ in cases).most_common(1)[0][1]
    return Right(len(cases), sum(verdict for _, verdict in cases) / len(cases), commonest / len(cases))
