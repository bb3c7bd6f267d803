"""A clip on air, and which of its pictures is on."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from actors.measuring.on_air import Camera, on_air, require_go2rtc
from streaming.errors import ServiceUnavailable
from streaming.sources.rtsp_server import ClipPublisher
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId
from tests.servers import FRAMES, RATE, go2rtc, index_of, write_clip


def result(pts_s: float, captured_s: float) -> FrameResult:
    latency = Latency(0, 0, 0)
    return FrameResult(StreamId("demo"), 7, pts_s, captured_s, Clock.ARRIVAL, 0, 64, 48, 0, latency)


def test_the_clip_itself_is_counted_by_frames() -> None:
    camera = Camera("scene.mp4", 30.0, None)
    assert camera.offset_of(result(0.2, 100.0)) is None
    assert camera.clip_frame(result(0.2, 100.0), None) == 7


def test_over_rtsp_the_least_late_picture_tells_where_the_clip_was(tmp_path: Path) -> None:
    publisher = ClipPublisher(write_clip(tmp_path / "clip.mp4"))
    publisher.first_frame_s = 1000.0
    camera = Camera("rtsp://…", 25.0, publisher)
    # We joined at the clip's 50th picture; our own time line begins there.
    late_s = (0.050, 0.004, 0.120)
    offsets = [
        camera.offset_of(result(k / 25, 1000.0 + (50 + k) / 25 + late)) for k, late in enumerate(late_s)
    ]
    assert min(offset for offset in offsets if offset is not None) == 50
    assert camera.clip_frame(result(2 / 25, 0.0), 50) == 52
    publisher.stop()


def test_what_is_on_air_at_a_moment_follows_from_the_first_picture(tmp_path: Path) -> None:
    publisher = ClipPublisher(write_clip(tmp_path / "clip.mp4"))
    camera = Camera("rtsp://…", 25.0, publisher)
    assert camera.on_at(1000.0) is None, "it has not begun"
    publisher.first_frame_s = 1000.0
    assert [camera.on_at(1000.0 + late_s) for late_s in (0.0, 0.039, 0.041, 10.001)] == [0, 0, 1, 250]
    publisher.stop()


def test_a_clip_on_air_can_be_watched_until_the_block_ends(tmp_path: Path) -> None:
    with on_air(write_clip(tmp_path / "clip.mp4"), RATE, go2rtc()) as camera:
        with av.open(camera.url, options={"rtsp_transport": "tcp"}, timeout=15) as container:
            shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
        assert 0 <= index_of(shown) < FRAMES
    with pytest.raises(av.FFmpegError):
        av.open(camera.url, timeout=2)


def test_without_a_server_it_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceUnavailable, match="make rtsp-server"):
        require_go2rtc()
