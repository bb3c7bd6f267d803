"""Absences and reappearances of objects."""

from __future__ import annotations

import numpy as np

from lab.evaluation.reappearance import FOUND_WITHIN, clearly_visible, draw_reappearance_clips, reappearances
from lab.training.world.holdout import Split, split_of
from lab.training.world.scenes import draw_clip


def blink(*sides: int) -> np.ndarray:
    """Masks of a square, so many pixels wide on each frame of 32x32 pixels."""
    masks = np.zeros((len(sides), 32, 32), np.bool_)
    for index, side in enumerate(sides):
        masks[index, :side, :side] = True
    return masks


def test_three_frames_without_the_object_are_an_absence() -> None:
    assert reappearances(blink(8, 8, 0, 0, 0, 8)) == [5]
    assert reappearances(blink(8, 8, 0, 0, 8, 8)) == []


def test_the_first_visible_pixel_ends_an_absence() -> None:
    assert reappearances(blink(8, 0, 0, 0, 1, 8)) == [4]


def test_a_reappearance_needs_a_clearly_visible_frame_soon_after() -> None:
    assert reappearances(blink(8, 0, 0, 0, 1, 0, 0, 0, 8)) == [4, 8]
    assert reappearances(blink(8, 0, 0, 0, 1, *[0] * FOUND_WITHIN, 8)) == [5 + FOUND_WITHIN]
    assert reappearances(blink(8, 0, 0, 0, 1)) == []


def test_without_absence_there_is_no_reappearance() -> None:
    assert reappearances(blink(*[8] * 8)) == []
    assert reappearances(blink(0, 0, 0, 0, 0, 0)) == []


def test_only_objects_above_the_least_share_are_clearly_visible() -> None:
    clip = draw_clip(Split.UNSEEN.first_seed, frames=1)
    every = clearly_visible(clip)
    assert every
    clip.masks[0, every[0]] = False
    assert clearly_visible(clip) == every[1:]


def test_drawn_clips_are_held_out_and_have_a_reappearance() -> None:
    clips = list(draw_reappearance_clips(2, frames=40))
    assert len({clip.seed for clip in clips}) == 2
    for clip in clips:
        assert split_of(clip.seed) is Split.UNSEEN and len(clip.frames) == 40
        assert any(reappearances(clip.masks[:, index]) for index in clearly_visible(clip))
