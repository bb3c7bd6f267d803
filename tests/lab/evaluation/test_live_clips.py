"""Drawn clips to be played live."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab.evaluation.live_clips import FPS, FRAMES, NOT_THERE, SIZE, THERE, WINDOWS, LiveClip, draw_live_clips
from lab.training.world.holdout import Split, split_of
from lab.training.world.levels import CURRICULUM
from streaming.sources.clip import open_clip

LEVEL = CURRICULUM[4]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> LiveClip:
    (clip,) = draw_live_clips(1, LEVEL, tmp_path_factory.mktemp("clips"))
    return clip


def test_a_clip_is_of_a_scene_that_no_training_saw(clip: LiveClip) -> None:
    assert split_of(clip.seed) is Split.UNSEEN


def test_every_picture_of_the_file_has_its_truth(clip: LiveClip) -> None:
    with open_clip(str(clip.path)) as reader:
        pictures = [picture for picture in reader.frames() if picture is not None]
        assert reader.rate == FPS
    assert len(pictures) == len(clip.masks) == FRAMES
    assert pictures[0].pixels.shape[:2] == SIZE


def test_every_window_asks_of_what_is_there_and_of_what_is_not(clip: LiveClip) -> None:
    assert [(window.start, window.end) for window in clip.windows] == list(WINDOWS)
    for window in clip.windows:
        there = [one for one in window.words if one.referents]
        assert len(there) == THERE and len(window.words) - len(there) == NOT_THERE
        assert len({one.kind for one in there}) == THERE, "of different kinds"
        for one in there:
            assert clip.mask_of(one.referents, window.start).any()


def test_windows_neither_touch_nor_reach_over_the_end() -> None:
    starts, ends = [start for start, _ in WINDOWS], [end for _, end in WINDOWS]
    assert starts[0] >= FPS and ends[-1] < FRAMES
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))


def test_the_truth_goes_round_with_the_clip(clip: LiveClip) -> None:
    things = range(len(clip.masks[0]))
    assert (clip.mask_of(things, 7) == clip.mask_of(things, 7 + 3 * FRAMES)).all()
    assert not clip.mask_of((), 7).any()
    assert clip.mask_of(things, 7).sum() == sum(clip.mask_of((one,), 7).sum() for one in things)


def test_the_same_clips_are_drawn_again(clip: LiveClip, tmp_path: Path) -> None:
    (again,) = draw_live_clips(1, LEVEL, tmp_path)
    assert (again.seed, again.windows) == (clip.seed, clip.windows)
    assert again.masks == clip.masks
    assert np.array_equal(*(np.frombuffer(one.path.read_bytes(), np.uint8) for one in (clip, again)))
