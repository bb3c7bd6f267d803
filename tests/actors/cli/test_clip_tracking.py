"""Tests of `saccade track` with a tracker and a grounder of colours."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from actors.cli.clip_tracking import OVERLAY, RESULTS, ClipTracker, Engines
from streaming import wire
from streaming.errors import SourceInvalid, SourceUnavailable
from streaming.sources.clip import open_clip
from streaming.video_writer import VideoWriter
from streaming.vocabulary import FrameResult
from tests import files
from tests.doubles import BLUE, RED, ColourGrounder, ColourTracker, square_image

FRAMES = 40


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=20) as writer:
        for index in range(FRAMES):
            writer.write(square_image((16 + index, 20), RED), index / 20)
    return path


def tracked(clip: Path, out: Path, *words: str) -> tuple[ClipTracker, list[FrameResult]]:
    tracker = ClipTracker(words, Engines(ColourGrounder(), ColourTracker))
    tracker.run(clip, out, lambda done, total: None)
    lines = (out / RESULTS).read_bytes().splitlines()
    return tracker, [wire.decode(FrameResult, line) for line in lines]


def test_every_frame_has_a_result_and_an_overlay(clip: Path, tmp_path: Path) -> None:
    tracker, results = tracked(clip, tmp_path / "out", "the red square")
    assert [result.frame_index for result in results] == list(range(FRAMES))
    with open_clip(str(tmp_path / "out" / OVERLAY)) as reader:
        assert sum(frame is not None for frame in reader.frames()) == FRAMES
    summary = tracker.summary(tmp_path / "out")
    assert (summary.frames, summary.tracks) == (FRAMES, 1)
    assert summary.frames_with_mask == FRAMES - 1, (
        "the first keyframe's answer is applied on the second frame"
    )


def test_the_same_clip_and_words_give_the_same_results(clip: Path, tmp_path: Path) -> None:
    _, first = tracked(clip, tmp_path / "a", "the red square", "the blue square")
    _, second = tracked(clip, tmp_path / "b", "the red square", "the blue square")
    assert first == second


def test_an_absent_object_is_refused_and_counted(clip: Path, tmp_path: Path) -> None:
    tracker, results = tracked(clip, tmp_path / "out", "the blue square")
    assert not any(result.tracks for result in results)
    summary = tracker.summary(tmp_path / "out")
    assert summary.refused == summary.looks > 0


def test_keyframes_carry_earlier_frames(clip: Path, tmp_path: Path) -> None:
    grounder = ColourGrounder()
    tracker = ClipTracker(["the blue square"], Engines(grounder, ColourTracker))
    tracker.run(clip, tmp_path / "out", lambda done, total: None)
    shown = [(keyframe.frame.pts_s, len(keyframe.earlier)) for keyframe in grounder.keyframes]
    assert shown[0] == (0.0, 0)
    assert all(count == 2 for pts_s, count in shown if pts_s > 1.1)
    assert shown[-1][0] > 1.1, "a later keyframe was grounded"


def test_progress_is_reported_after_every_frame(clip: Path, tmp_path: Path) -> None:
    reports: list[tuple[int, int | None]] = []
    tracker = ClipTracker(["the red square"], Engines(ColourGrounder(), ColourTracker))
    tracker.run(clip, tmp_path / "out", lambda done, total: reports.append((done, total)))
    assert reports == [(done, FRAMES) for done in range(1, FRAMES + 1)]


def test_an_interrupted_run_leaves_complete_files(clip: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done == 10:
            raise KeyboardInterrupt

    tracker = ClipTracker(["the red square"], Engines(ColourGrounder(), ColourTracker))
    with pytest.raises(KeyboardInterrupt):
        tracker.run(clip, tmp_path / "out", interrupt)
    assert len((tmp_path / "out" / RESULTS).read_bytes().splitlines()) == 10
    with open_clip(str(tmp_path / "out" / OVERLAY)) as reader:
        assert sum(frame is not None for frame in reader.frames()) == 10


def test_a_file_that_is_not_a_video_raises_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    tracker = ClipTracker(["the red square"], Engines(ColourGrounder(), ColourTracker))
    with pytest.raises(SourceInvalid):
        tracker.run(tmp_path / "text.mp4", tmp_path / "out", lambda done, total: None)
    with pytest.raises(SourceUnavailable):
        tracker.run(tmp_path / "none.mp4", tmp_path / "out", lambda done, total: None)
    assert not (tmp_path / "out").exists()


def test_an_object_that_appears_later_is_found(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=20) as writer:
        for index in range(100):
            writer.write(square_image((30, 20), RED if index < 20 else BLUE), index / 20)
    _, results = tracked(path, tmp_path / "out", "the blue square")
    masked = [result.frame_index for result in results if any(track.mask for track in result.tracks)]
    assert masked and min(masked) >= 20


def red_as_pictured(index: int) -> np.ndarray:
    return square_image((16 + index, 20), RED)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("late.ts", {"pts": lambda index: index + 25 * 95_443}),
        ("late.mkv", {"pts": lambda index: index + 25 * 95_443}),
        ("raw.h264", {}),
        ("plain.mp4", {}),
    ],
)
def test_an_overlay_is_as_long_as_its_clip(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    clip = files.write(tmp_path / name, picture=red_as_pictured, **options)  # type: ignore[arg-type]
    _, results = tracked(clip, tmp_path / "out", "the red square")
    assert [result.pts_s for result in results] == pytest.approx(np.arange(25) / 25, abs=0.002)
    assert files.duration_s(tmp_path / "out" / OVERLAY) == pytest.approx(1.0, abs=0.01)


def test_a_pause_is_as_long_in_the_overlay(tmp_path: Path) -> None:
    clip = files.write(
        tmp_path / "pause.mkv", picture=red_as_pictured, pts=lambda index: index + 25 * 60 * (index > 5)
    )
    tracked(clip, tmp_path / "out", "the red square")
    assert files.duration_s(tmp_path / "out" / OVERLAY) == pytest.approx(61.0, abs=0.01)


@pytest.mark.parametrize(
    "options",
    [
        {"picture": lambda index: np.rot90(red_as_pictured(index)), "turn": (270, False, False)},
        {"picture": lambda index: red_as_pictured(index)[:, ::2], "pixel_aspect": Fraction(2)},
    ],
    ids=["portrait", "pixels that are not square"],
)
def test_masks_lie_on_a_clip_as_players_show_it(tmp_path: Path, options: dict[str, Any]) -> None:
    _, results = tracked(files.write(tmp_path / "clip.mp4", **options), tmp_path / "out", "the red square")
    height, width = red_as_pictured(0).shape[:2]
    assert {(result.height, result.width) for result in results} == {(height, width)}
    box = results[-1].tracks[0].box_px
    pixels = red_as_pictured(24)
    ys, xs = np.nonzero(pixels[:, :, 0] > 150)
    assert box == pytest.approx((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), abs=2)


def test_a_picture_gets_an_overlay_with_its_mask(tmp_path: Path) -> None:
    Image.fromarray(red_as_pictured(0)).save(tmp_path / "a.png")
    _, results = tracked(tmp_path / "a.png", tmp_path / "out", "the red square")
    assert [bool(result.tracks) for result in results] == [False, True]
    assert files.duration_s(tmp_path / "out" / OVERLAY) > 0.2


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (2, 6_000)])
def test_a_picture_of_any_size_gets_an_overlay(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.fromarray(np.full((*size, 3), 60, np.uint8)).save(tmp_path / "a.png")
    tracked(tmp_path / "a.png", tmp_path / "out", "the red square")
    with open_clip(str(tmp_path / "out" / OVERLAY)) as reader:
        assert sum(frame is not None for frame in reader.frames()) == 2
