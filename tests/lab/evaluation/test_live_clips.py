"""Drawn clips for live streams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lab.evaluation import live_clips
from lab.evaluation.live_clips import ABSENT, FPS, FRAMES, PRESENT, WINDOWS, LiveClip, draw_live_clips
from lab.training.world.holdout import Split, split_of
from lab.training.world.levels import CURRICULUM
from streaming.sources.clip import open_clip

LEVEL = CURRICULUM[4]


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Draw at a quarter of the side: what is asked, and when, does not depend on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_clips, "SIZE", (90, 160))
        yield


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> LiveClip:
    (clip,) = draw_live_clips(1, LEVEL, tmp_path_factory.mktemp("clips"))
    return clip


def test_clips_are_held_out_from_training(clip: LiveClip) -> None:
    assert split_of(int(clip.name)) is Split.UNSEEN


def test_every_frame_of_the_file_has_ground_truth(clip: LiveClip) -> None:
    with open_clip(str(clip.path)) as reader:
        frames = [frame for frame in reader.frames() if frame is not None]
        assert reader.rate == FPS
    assert len(frames) == len(clip.masks) == FRAMES
    assert frames[0].pixels.shape[:2] == live_clips.SIZE


def test_every_window_has_expressions_about_present_and_absent_objects(clip: LiveClip) -> None:
    assert [(window.start, window.end) for window in clip.windows] == list(WINDOWS)
    for window in clip.windows:
        present = [each for each in window.expressions if each.referents]
        assert len(present) == PRESENT and len(window.expressions) - len(present) == ABSENT
        assert len({each.kind for each in present}) == PRESENT, "of different kinds"
        for expression in present:
            assert clip.mask_of(expression.referents, window.start).any()


def test_windows_are_disjoint_and_end_before_the_clip() -> None:
    starts, ends = [start for start, _ in WINDOWS], [end for _, end in WINDOWS]
    assert starts[0] >= FPS and ends[-1] < FRAMES
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))


def test_frames_are_counted_modulo_the_clip(clip: LiveClip) -> None:
    objects = range(len(clip.masks[0]))
    assert (clip.mask_of(objects, 7) == clip.mask_of(objects, 7 + 3 * FRAMES)).all()
    assert not clip.mask_of((), 7).any()
    assert clip.mask_of(objects, 7).sum() == sum(clip.mask_of((index,), 7).sum() for index in objects)


def test_drawing_again_gives_the_same_clips(clip: LiveClip, tmp_path: Path) -> None:
    (again,) = draw_live_clips(1, LEVEL, tmp_path)
    assert (again.name, again.windows) == (clip.name, clip.windows)
    assert again.masks == clip.masks
    assert np.array_equal(*(np.frombuffer(each.path.read_bytes(), np.uint8) for each in (clip, again)))
