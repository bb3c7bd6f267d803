"""Stable expressions are true on the first frame and mean nothing else later."""

from __future__ import annotations

from collections import Counter

import pytest

from lab.training.language.expressions import MAX_ABSENT_PER_KIND, Expression
from lab.training.language.stable_expressions import stable_expressions
from lab.training.world.holdout import HELD_OUT_SEED
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import Clip, draw_clip
from tests.expression_semantics import interpretations

WORLD = CURRICULUM[-1]
FRAMES = range(8, 25, 2)
"Of clips at 10 frames a second, from 0.8 s on."


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + 30)
    return [draw_clip(seed, frames=25, size=(160, 160), stride=3, level=WORLD) for seed in seeds]


def are_in_sight(clip: Clip, expression: Expression, frame: int) -> bool:
    """Whether most of every referent is visible."""
    referents = list(expression.referents)
    visible_px = clip.masks[frame, referents].sum(axis=(1, 2))
    return bool((visible_px > 0.6 * clip.amodal_area_px[frame, referents]).all())


def is_true(clip: Clip, expression: Expression, frame: int) -> bool:
    return interpretations(expression.text, clip, frame) == {tuple(sorted(expression.referents))}


def test_expressions_are_true_on_the_first_frame(clips: list[Clip]) -> None:
    counts: Counter[str] = Counter()
    for clip in clips:
        for expression in stable_expressions(clip, FRAMES, clip.seed % 7):
            assert is_true(clip, expression, FRAMES[0]), (clip.seed, expression)
            counts[expression.kind if expression.referents else "absent"] += 1
    assert set(counts) == {*WORLD.expression_kinds, "absent"}
    assert min(counts.values()) >= 10, counts


def test_stable_expressions_are_true_at_the_end_and_others_mostly_are_not(clips: list[Clip]) -> None:
    true_at_end: Counter[bool] = Counter()
    total: Counter[bool] = Counter()
    for clip in clips:
        stable = {expression.text for expression in stable_expressions(clip, FRAMES, 0)}
        for expression in stable_expressions(clip, FRAMES[:1], 0):
            if expression.referents and are_in_sight(clip, expression, FRAMES[-1]):
                total[expression.text in stable] += 1
                true_at_end[expression.text in stable] += is_true(clip, expression, FRAMES[-1])
    assert true_at_end[True] > 0.9 * total[True] > 100
    assert true_at_end[False] < 0.3 * total[False]


def test_an_object_out_of_sight_stays_the_referent(clips: list[Clip]) -> None:
    away = [
        expression
        for clip in clips
        for expression in stable_expressions(clip, FRAMES, 0)
        if expression.referents and not clip.masks[FRAMES[-1], list(expression.referents)].any()
    ]
    assert {expression.kind for expression in away} >= {"colour", "both"}


def test_absent_expressions_of_a_kind_are_limited(clips: list[Clip]) -> None:
    for clip in clips:
        absent = Counter(one.kind for one in stable_expressions(clip, FRAMES, 0) if not one.referents)
        assert max(absent.values(), default=0) <= MAX_ABSENT_PER_KIND


def test_the_variant_decides_the_wording(clips: list[Clip]) -> None:
    first, again, other = (
        {one.text for clip in clips[:5] for one in stable_expressions(clip, FRAMES, variant)}
        for variant in (1, 1, 2)
    )
    assert first == again
    assert len(first & other) < 0.5 * len(first)
