"""Laws of words whose meaning lasts, by a judge who reads masks alone."""

from __future__ import annotations

from collections import Counter

import pytest

from lab.training.language.expressions import ABSENT_PER_KIND, Expression
from lab.training.language.live_expressions import lasting
from lab.training.world.holdout import HELD_OUT_SEED
from lab.training.world.levels import LADDER
from lab.training.world.scenes import Clip, draw_clip
from tests.truth_of_words import judged

WORLD = LADDER[-1]
FRAMES = range(8, 25, 2)
"Of clips at 10 frames a second, from 0.8 s on."


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    seeds = range(HELD_OUT_SEED, HELD_OUT_SEED + 30)
    return [draw_clip(seed, frames=25, size=(160, 160), stride=3, level=WORLD) for seed in seeds]


def in_sight(clip: Clip, one: Expression, frame: int) -> bool:
    """Whether everything that is meant is plainly there."""
    seen = clip.masks[frame, list(one.targets)].sum(axis=(1, 2))
    return bool((seen > 0.6 * clip.whole_px[frame, list(one.targets)]).all())


def test_words_mean_on_the_first_frame_what_they_are_said_to(clips: list[Clip]) -> None:
    heard: Counter[str] = Counter()
    for clip in clips:
        for one in lasting(clip, FRAMES, clip.seed % 7):
            assert judged(one.text, clip, FRAMES[0]) == {tuple(sorted(one.targets))}, (clip.seed, one)
            heard[one.kind if one.targets else "absent"] += 1
    assert set(heard) == {*WORLD.phrases, "absent"}
    assert min(heard.values()) >= 10, heard


def test_at_the_end_they_still_do_and_those_left_out_do_not(clips: list[Clip]) -> None:
    same: Counter[bool] = Counter()
    said: Counter[bool] = Counter()
    for clip in clips:
        kept = {one.text for one in lasting(clip, FRAMES, 0)}
        for one in lasting(clip, FRAMES[:1], 0):
            if one.targets and in_sight(clip, one, FRAMES[-1]):
                said[one.text in kept] += 1
                meant = judged(one.text, clip, FRAMES[-1]) == {tuple(sorted(one.targets))}
                same[one.text in kept] += meant
    assert same[True] > 0.9 * said[True] > 100
    assert same[False] < 0.3 * said[False]


def test_what_leaves_or_hides_is_meant_all_the_same(clips: list[Clip]) -> None:
    away = [
        one
        for clip in clips
        for one in lasting(clip, FRAMES, 0)
        if one.targets and not clip.masks[FRAMES[-1], list(one.targets)].any()
    ]
    assert {one.kind for one in away} >= {"colour", "both"}


def test_of_what_is_not_there_a_few_of_each_kind(clips: list[Clip]) -> None:
    for clip in clips:
        absent = [one for one in lasting(clip, FRAMES, 0) if not one.targets]
        assert len(absent) <= ABSENT_PER_KIND * len(set(WORLD.phrases))


def test_a_habit_decides_the_words(clips: list[Clip]) -> None:
    first, again, other = (
        {one.text for clip in clips[:5] for one in lasting(clip, FRAMES, habit)} for habit in (1, 1, 2)
    )
    assert first == again
    assert len(first & other) < 0.5 * len(first)
