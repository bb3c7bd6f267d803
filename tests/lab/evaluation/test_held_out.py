"""Held-out scenes: their set, their determinism, their earlier frames."""

from __future__ import annotations

import numpy as np
import pytest

from lab.evaluation.held_out import EARLIER, FRAMES, SIZE, draw_scene, draw_scenes
from lab.training.language.frame_facts import STOP_WINDOW_S, FrameFacts
from lab.training.task_mixture import WINDOW_STEP_S
from lab.training.world.holdout import Split, split_of
from lab.training.world.levels import CURRICULUM
from streaming.vocabulary import QueryKind

WORLD = CURRICULUM[-1]
EVEN, ODD = Split.UNSEEN.first_seed, Split.UNSEEN.first_seed + 1


@pytest.mark.parametrize("split", Split)
def test_scenes_are_of_the_requested_set(split: Split) -> None:
    seeds = [scene.clip.seed for scene in draw_scenes(3, split=split)]
    assert {split_of(seed) for seed in seeds} == {split} and len(set(seeds)) == 3


def test_a_scene_is_a_function_of_its_seed() -> None:
    first, second = draw_scene(EVEN, WORLD), draw_scene(EVEN, WORLD)
    assert np.array_equal(first.clip.frames, second.clip.frames)


def test_half_of_the_scenes_of_a_level_with_motion_have_earlier_frames() -> None:
    past, none = draw_scene(EVEN, WORLD), draw_scene(ODD, WORLD)
    assert (len(past.clip.frames), len(none.clip.frames)) == (FRAMES, 1)
    assert (
        FrameFacts(past.clip, past.frame).has_motion_history
        and not FrameFacts(none.clip, none.frame).has_motion_history
    )
    assert len(draw_scene(EVEN, CURRICULUM[0]).clip.frames) == 1


def test_earlier_frames_reach_as_far_back_as_expressions_do() -> None:
    back_s = [(FRAMES - 1 - index) * WINDOW_STEP_S for index in EARLIER]
    assert back_s == pytest.approx([0.9, 0.3]) and back_s[0] >= STOP_WINDOW_S - 1e-9


def test_a_keyframe_has_the_last_frame_and_earlier_frames() -> None:
    scene = draw_scene(EVEN, WORLD)
    keyframe = scene.keyframe(["the dog", "the cup"], QueryKind.ASK)
    assert keyframe.frame.size == SIZE
    assert np.array_equal(keyframe.frame.pixels, scene.clip.frames[-1])
    assert [np.array_equal(a, scene.clip.frames[k]) for a, k in zip(keyframe.earlier, EARLIER, strict=True)]
    assert [(q.text, q.kind) for q in keyframe.queries] == [("the dog", "ask"), ("the cup", "ask")]
    assert len({query.query_id for query in keyframe.queries}) == 2


def test_a_scene_of_a_single_frame_has_no_earlier_frames() -> None:
    assert draw_scene(ODD, WORLD).keyframe(["the dog"], QueryKind.REFER).earlier == ()


def test_the_mask_of_several_objects_is_their_union_on_the_last_frame() -> None:
    scene = draw_scene(EVEN, WORLD)
    every = range(len(scene.clip.labels))
    assert np.array_equal(scene.mask_of(every), scene.clip.masks[-1].any(axis=0))
    assert not scene.mask_of([]).any()
