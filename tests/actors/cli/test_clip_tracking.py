"""Tests of `saccade track` with a tracker and a grounder of colours."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.cli.clip_tracking import OVERLAY, RESULTS, ClipTracker, Engines
from streaming import wire
from streaming.errors import SourceInvalid, SourceUnavailable
from streaming.sources.clip import open_clip
from streaming.video_writer import VideoWriter
from streaming.vocabulary import FrameResult
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
