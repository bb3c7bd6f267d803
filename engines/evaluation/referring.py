"""How well a grounder understands words: held-out drawn pictures, through the verb that the service uses."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np

from engines.evaluation.metrics import Mean, region_j
from engines.protocols import Grounder
from engines.training.language.expressions import Expression, expressions
from engines.training.world.holdout import HELD_OUT_SEED
from engines.training.world.levels import KNOWN, Level
from engines.training.world.scenes import Clip, draw_clip
from streaming.vocabulary import Answer, Clock, Frame, Keyframe, Mask, Query, QueryId, StreamId

SIZE = (360, 640)
"Of the pictures asked about, (height, width) in pixels: a small camera's."
_STREAM = StreamId("held-out")


@dataclass(frozen=True, slots=True)
class ReferringScore:
    """Figures over every question of the scenes; all but counts and seconds are 0..1."""

    scenes: int
    questions: int
    j: float
    "Mean J over questions about things that are there; a refusal counts 0."
    j_by_kind: dict[str, float]
    "The same by kind of expression."
    at_half: float
    "Share of them with J above 0.5."
    wrongly_refused: float
    "Share of them answered with no such thing."
    absent_refused: float
    "Share of questions about what is not there that were answered so."
    ground_s: float
    "Mean time per keyframe, all its questions together, seconds."


def score_grounder(
    grounder: Grounder, scenes: int, first_seed: int = HELD_OUT_SEED, level: Level = KNOWN
) -> ReferringScore:
    """Ask everything that can be said of `scenes` pictures of a level, of the set that `first_seed` is of."""
    js: dict[str, Mean] = defaultdict(Mean)
    half, refused, absent, took = Mean(), Mean(), Mean(), Mean()
    for seed in range(first_seed, first_seed + scenes):
        clip, answered = ask_everything(grounder, seed, level)
        took.add(answered[0][1].ground_s)
        for expression, answer in answered:
            if not expression.targets:
                absent.add(float(not answer.prompts))
                continue
            j = region_j(answered_mask(answer, SIZE), _meant(clip, expression))
            js[expression.kind].add(j)
            half.add(float(j > 0.5))
            refused.add(float(not answer.prompts))
    total = Mean(sum(mean.total for mean in js.values()), sum(mean.count for mean in js.values()))
    return ReferringScore(
        scenes=scenes,
        questions=total.count + absent.count,
        j=total.value,
        j_by_kind={kind: mean.value for kind, mean in sorted(js.items())},
        at_half=half.value,
        wrongly_refused=refused.value,
        absent_refused=absent.value,
        ground_s=took.value,
    )


def ask_everything(
    grounder: Grounder, seed: int, level: Level = KNOWN
) -> tuple[Clip, list[tuple[Expression, Answer]]]:
    """A drawn picture of `SIZE`, and the grounder's answers to everything that can be said of it."""
    clip = draw_clip(seed, frames=1, size=SIZE, level=level)
    said = expressions(clip, 0, np.random.default_rng((seed, 2)))
    return clip, list(zip(said, grounder.ground(_keyframe(clip, said)), strict=True))


def answered_mask(answer: Answer, size: tuple[int, int]) -> Mask:
    """Union of an answer's masks at `size` (height, width)."""
    union = np.zeros(size, dtype=np.bool_)
    for logits in answer.logits:
        union |= cv2.resize(logits, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) > 0
    return union


def _meant(clip: Clip, expression: Expression) -> Mask:
    mask: Mask = clip.masks[0][list(expression.targets)].any(axis=0)
    return mask


def _keyframe(clip: Clip, said: list[Expression]) -> Keyframe:
    frame = Frame(_STREAM, 0, clip.frames[0], pts_s=0.0, captured_s=0.0, clock=Clock.ARRIVAL)
    queries = (Query(QueryId(f"q{index}"), _STREAM, one.text) for index, one in enumerate(said))
    return Keyframe(frame, tuple(queries), asked_s=0.0)
