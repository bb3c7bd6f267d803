import pytest

from streaming.errors import InvalidStream, NotFound, RefusedAddress
from streaming.rtsp.source import RtspSource
from streaming.settings import Settings
from streaming.sources.camera import CameraSource
from streaming.sources.clip import ClipSource
from streaming.sources.factory import open_source
from streaming.url_guard import SourcePolicy
from streaming.vocabulary import SourceState, StreamId, StreamSpec
from streaming.webrtc.whip import WhipSource

SETTINGS = Settings()


def opened(url, policy=SourcePolicy()):  # noqa: B008
    return open_source(StreamSpec(StreamId("s"), url), policy, SETTINGS)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("rtsp://cam.example/live", RtspSource),
        ("rtsps://cam.example/live", RtspSource),
        ("camera:0", CameraSource),
        ("/dev/video1", CameraSource),
        ("whip:", WhipSource),
    ],
)
def test_the_scheme_picks_the_source(url, kind):
    assert type(opened(url)) is kind


def test_a_file_is_played_like_a_camera_without_an_end(clip, seen):
    source = opened(str(clip), SourcePolicy(media_dirs=(clip.parent,)))
    assert type(source) is ClipSource
    assert (source._playback.paced, source._playback.looped) == (True, True)
    source.start(seen.deliver, seen.report)
    seen.wait_frames(3)
    assert source.stop()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("rtsp://127.0.0.1/x", RefusedAddress),
        ("http://cam.example/", RefusedAddress),
        ("/etc/passwd", RefusedAddress),
        ("", InvalidStream),
        ("rtsp:", InvalidStream),
    ],
)
def test_a_url_that_the_guard_refuses_is_not_opened(url, error):
    with pytest.raises(error):
        opened(url)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(NotFound):
        opened(str(tmp_path / "a.mp4"), SourcePolicy(media_dirs=(tmp_path,)))


def test_a_name_is_looked_up_when_it_runs_and_refused_then(seen):
    source = opened("rtsp://localhost:1/x")
    source.start(seen.deliver, seen.report)
    seen.wait(lambda s: s.states[-1:] == [SourceState.FAILED])
    assert "localhost" in source.status.reason
