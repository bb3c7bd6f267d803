"""Laws of held-out scenes: of their set, the same every time, with a past where words need one."""

from __future__ import annotations

import numpy as np
import pytest

from lab.evaluation.held_out import EARLIER, PICTURES, SIZE, draw_scene, draw_scenes
from lab.training.language.frame_facts import STOP_WINDOW_S, FrameFacts
from lab.training.task_mixture import STEP_S
from lab.training.world.holdout import Split, split_of
from lab.training.world.levels import CURRICULUM
from streaming.vocabulary import QueryKind

WORLD = CURRICULUM[-1]
EVEN, ODD = Split.UNSEEN.first_seed, Split.UNSEEN.first_seed + 1


@pytest.mark.parametrize("split", Split)
def test_scenes_are_of_the_set_that_is_asked_for(split: Split) -> None:
    seeds = [scene.clip.seed for scene in draw_scenes(3, split=split)]
    assert {split_of(seed) for seed in seeds} == {split} and len(set(seeds)) == 3


def test_a_scene_is_the_same_every_time() -> None:
    one, other = draw_scene(EVEN, WORLD), draw_scene(EVEN, WORLD)
    assert np.array_equal(one.clip.frames, other.clip.frames)


def test_half_of_the_scenes_have_a_past_where_words_are_about_movement() -> None:
    past, none = draw_scene(EVEN, WORLD), draw_scene(ODD, WORLD)
    assert (len(past.clip.frames), len(none.clip.frames)) == (PICTURES, 1)
    assert (
        FrameFacts(past.clip, past.frame).has_motion_history
        and not FrameFacts(none.clip, none.frame).has_motion_history
    )
    assert len(draw_scene(EVEN, CURRICULUM[0]).clip.frames) == 1


def test_the_past_reaches_as_far_back_as_words_do() -> None:
    back_s = [(PICTURES - 1 - index) * STEP_S for index in EARLIER]
    assert back_s == pytest.approx([0.9, 0.3]) and back_s[0] >= STOP_WINDOW_S - 1e-9


def test_a_keyframe_shows_the_last_picture_and_what_was_before_it() -> None:
    scene = draw_scene(EVEN, WORLD)
    keyframe = scene.keyframe(["the dog", "the cup"], QueryKind.ASK)
    assert keyframe.frame.size == SIZE
    assert np.array_equal(keyframe.frame.pixels, scene.clip.frames[-1])
    assert [np.array_equal(a, scene.clip.frames[k]) for a, k in zip(keyframe.earlier, EARLIER, strict=True)]
    assert [(q.text, q.kind) for q in keyframe.queries] == [("the dog", "ask"), ("the cup", "ask")]
    assert len({query.query_id for query in keyframe.queries}) == 2


def test_a_single_picture_has_no_past() -> None:
    assert draw_scene(ODD, WORLD).keyframe(["the dog"], QueryKind.REFER).earlier == ()


def test_the_mask_of_several_things_is_all_of_them_on_the_last_picture() -> None:
    scene = draw_scene(EVEN, WORLD)
    every = range(len(scene.clip.labels))
    assert np.array_equal(scene.mask_of(every), scene.clip.masks[-1].any(axis=0))
    assert not scene.mask_of([]).any()
