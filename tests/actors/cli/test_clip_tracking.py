"""A file in; overlay.mp4 and results.jsonl out."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.cli.clip_tracking import OVERLAY, RESULTS, ClipTracker, Engines
from streaming import wire
from streaming.errors import SourceInvalid, SourceUnavailable
from streaming.sources.clip import open_clip
from streaming.video_writer import VideoWriter
from streaming.vocabulary import FrameResult
from tests.doubles import BLUE, RED, ColourGrounder, ColourTracker, square_picture

FRAMES = 40


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=20) as writer:
        for index in range(FRAMES):
            writer.write(square_picture((16 + index, 20), RED), index / 20)
    return path


def tracked(clip: Path, out: Path, *words: str) -> tuple[ClipTracker, list[FrameResult]]:
    tracker = ClipTracker(words, Engines(ColourGrounder(), ColourTracker))
    tracker.run(clip, out, lambda done, total: None)
    lines = (out / RESULTS).read_bytes().splitlines()
    return tracker, [wire.decode(FrameResult, line) for line in lines]


def test_every_frame_has_a_line_and_a_picture(clip: Path, tmp_path: Path) -> None:
    tracker, results = tracked(clip, tmp_path / "out", "the red square")
    assert [result.frame_index for result in results] == list(range(FRAMES))
    with open_clip(str(tmp_path / "out" / OVERLAY)) as reader:
        assert sum(picture is not None for picture in reader.frames()) == FRAMES
    summary = tracker.summary(tmp_path / "out")
    assert (summary.frames, summary.tracks) == (FRAMES, 1)
    assert summary.frames_with_mask == FRAMES - 1, "the first look is answered on the second frame"


def test_the_same_clip_and_words_give_the_same_results(clip: Path, tmp_path: Path) -> None:
    _, first = tracked(clip, tmp_path / "a", "the red square", "the blue square")
    _, second = tracked(clip, tmp_path / "b", "the red square", "the blue square")
    assert first == second


def test_what_is_not_there_is_refused_and_counted(clip: Path, tmp_path: Path) -> None:
    tracker, results = tracked(clip, tmp_path / "out", "the blue square")
    assert not any(result.tracks for result in results)
    summary = tracker.summary(tmp_path / "out")
    assert summary.refused == summary.looks > 0


def test_the_grounder_is_shown_what_was_before(clip: Path, tmp_path: Path) -> None:
    grounder = ColourGrounder()
    tracker = ClipTracker(["the blue square"], Engines(grounder, ColourTracker))
    tracker.run(clip, tmp_path / "out", lambda done, total: None)
    shown = [(keyframe.frame.pts_s, len(keyframe.earlier)) for keyframe in grounder.keyframes]
    assert shown[0] == (0.0, 0)
    assert all(count == 2 for pts_s, count in shown if pts_s > 1.1)
    assert shown[-1][0] > 1.1, "or nothing was shown"


def test_progress_is_told_after_every_frame(clip: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    tracker = ClipTracker(["the red square"], Engines(ColourGrounder(), ColourTracker))
    tracker.run(clip, tmp_path / "out", lambda done, total: told.append((done, total)))
    assert told == [(done, FRAMES) for done in range(1, FRAMES + 1)]


def test_what_was_done_before_an_interruption_is_kept(clip: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done == 10:
            raise KeyboardInterrupt

    tracker = ClipTracker(["the red square"], Engines(ColourGrounder(), ColourTracker))
    with pytest.raises(KeyboardInterrupt):
        tracker.run(clip, tmp_path / "out", interrupt)
    assert len((tmp_path / "out" / RESULTS).read_bytes().splitlines()) == 10
    with open_clip(str(tmp_path / "out" / OVERLAY)) as reader:
        assert sum(picture is not None for picture in reader.frames()) == 10


def test_a_file_that_is_no_video_is_said_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is no video")
    tracker = ClipTracker(["the red square"], Engines(ColourGrounder(), ColourTracker))
    with pytest.raises(SourceInvalid):
        tracker.run(tmp_path / "text.mp4", tmp_path / "out", lambda done, total: None)
    with pytest.raises(SourceUnavailable):
        tracker.run(tmp_path / "none.mp4", tmp_path / "out", lambda done, total: None)
    assert not (tmp_path / "out").exists()


def test_a_change_of_colour_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, fps=20) as writer:
        for index in range(100):
            writer.write(square_picture((30, 20), RED if index < 20 else BLUE), index / 20)
    _, results = tracked(path, tmp_path / "out", "the blue square")
    masked = [result.frame_index for result in results if any(track.mask for track in result.tracks)]
    assert masked and min(masked) >= 20
