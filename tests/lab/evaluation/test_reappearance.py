"""Laws of absence and return."""

from __future__ import annotations

import numpy as np

from lab.evaluation.reappearance import WITHIN, clearly_seen, draw_reappearance_clips, returns
from lab.training.world.holdout import Split, split_of
from lab.training.world.scenes import draw_clip


def blink(*sides: int) -> np.ndarray:
    """A square that is so many pixels wide, in a picture of 32 by 32."""
    masks = np.zeros((len(sides), 32, 32), np.bool_)
    for index, side in enumerate(sides):
        masks[index, :side, :side] = True
    return masks


def test_three_frames_away_are_an_absence() -> None:
    assert returns(blink(8, 8, 0, 0, 0, 8)) == [5]
    assert returns(blink(8, 8, 0, 0, 8, 8)) == []


def test_it_is_back_with_its_first_pixel() -> None:
    assert returns(blink(8, 0, 0, 0, 1, 8)) == [4]


def test_what_only_peeps_out_has_not_returned() -> None:
    assert returns(blink(8, 0, 0, 0, 1, 0, 0, 0, 8)) == [4, 8]
    assert returns(blink(8, 0, 0, 0, 1, *[0] * WITHIN, 8)) == [5 + WITHIN]
    assert returns(blink(8, 0, 0, 0, 1)) == []


def test_what_was_never_away_does_not_return() -> None:
    assert returns(blink(*[8] * 8)) == []
    assert returns(blink(0, 0, 0, 0, 0, 0)) == []


def test_only_what_is_clearly_seen_at_first_is_given() -> None:
    clip = draw_clip(Split.UNSEEN.first_seed, frames=1)
    every = clearly_seen(clip)
    assert every
    clip.masks[0, every[0]] = False
    assert clearly_seen(clip) == every[1:]


def test_clips_are_unseen_ones_in_which_something_comes_back() -> None:
    clips = list(draw_reappearance_clips(2, frames=40))
    assert len({clip.seed for clip in clips}) == 2
    for clip in clips:
        assert split_of(clip.seed) is Split.UNSEEN and len(clip.frames) == 40
        assert any(returns(clip.masks[:, thing]) for thing in clearly_seen(clip))
