"""Which reader reads a camera: ours, or FFmpeg as the second where ours cannot follow."""

import contextlib
import re

import pytest

from lab.fixtures.hostile_camera import HostileCamera, Manners, encode_pictures
from lab.fixtures.ports import free_port
from streaming.errors import SourceUnavailable, SourceUnreadable
from streaming.rtsp import source as rtsp_source
from streaming.rtsp.source import RtspSource
from streaming.rtsp.source import open_rtsp as open_rtsp_reader
from streaming.sources import live
from streaming.sources.ffmpeg import FFmpegReader
from streaming.sources.live import SourceLimits
from streaming.url_guard import check_source_url
from streaming.vocabulary import SourceState, StreamId
from tests.cameras import (
    IMPATIENCE,
    LOOPBACK,
    PATIENCE,
    Camera,
    sdp_of,
)
from tests.servers import FRAMES, index_of

ID = StreamId("camera")


def test_other_codecs_are_left_to_ffmpeg():
    with (
        Camera(sdp_of("JPEG")) as camera,
        contextlib.closing(open_rtsp_reader(camera.source(), IMPATIENCE)) as reader,
    ):
        assert isinstance(reader, FFmpegReader)
        ours, ffmpegs = camera.requests_of("DESCRIBE")
        assert "User-Agent: saccade" in ours
        assert "User-Agent: Lavf" in ffmpegs


def test_a_camera_that_only_sends_udp_is_read_by_ffmpeg_after_two_sessions(pictures, open_rtsp, seen):
    with HostileCamera(pictures, Manners(udp_only=True)) as camera:
        source = open_rtsp(camera.url)
        seen.wait_frames(10)
        assert (source.status.state, source.status.reader) == (SourceState.LIVE, "ffmpeg")
        reasons = [status.reason for status in seen.statuses if status.state is SourceState.RECONNECTING]
        assert len(reasons) == 2
        assert all("461" in reason for reason in reasons)
        assert "reader ffmpeg is tried next" in reasons[-1]


@pytest.mark.parametrize("reader", ["native", "ffmpeg"])
def test_the_reader_of_the_users_choice_is_the_only_one(reader, pictures, open_rtsp, seen):
    with HostileCamera(pictures, Manners()) as camera:
        source = open_rtsp(camera.url, reader=reader)
        seen.wait_frames(10)
        assert source.status.reader == reader
        agents = {re.search(r"User-Agent: ([A-Za-z]+)", request)[1] for request in camera.requests}
        assert agents == {"saccade" if reader == "native" else "Lavf"}


def test_a_real_server_is_read_by_ffmpeg_too(camera, open_rtsp, seen):
    source = open_rtsp(camera[0].url, reader="ffmpeg")
    seen.wait(lambda s: len(s.frames) >= 10)
    first = index_of(seen.frames[0].pixels)
    assert [index_of(frame.pixels) for frame in seen.frames[:10]] == [(first + k) % FRAMES for k in range(10)]
    assert source.status.reader == "ffmpeg"


def test_a_camera_that_no_reader_can_follow_says_why_and_what_to_do(open_rtsp, seen):
    def refusing(request):
        return b"RTSP/1.0 551 Option not supported\r\nCSeq: {cseq}\r\n\r\n" if "SETUP" in request else None

    with Camera(sdp_of("H264"), answer=refusing) as camera:
        open_rtsp(camera.source().location)
        seen.wait(lambda s: "No reader can follow" in s.statuses[-1].reason)
        reason = seen.statuses[-1].reason
        assert "native: " in reason
        assert "ffmpeg: " in reason
        assert "go2rtc or MediaMTX" in reason


def test_packets_without_a_picture_for_too_long_are_a_reason_for_another_reader(open_rtsp, seen, monkeypatch):
    monkeypatch.setattr(live, "KEY_FRAME_WAIT_S", 0.3)
    with HostileCamera(encode_pictures(50, gop=1_000)[1:], Manners()) as camera:
        open_rtsp(camera.url, timeouts=SourceLimits(first_frame_s=0.2, stall_s=0.2))
        seen.wait(lambda s: any("ffmpeg is tried next" in status.reason for status in s.statuses))


def test_a_reader_that_has_read_the_camera_is_not_given_up_when_the_camera_starts_anew(open_rtsp, seen):
    """While it starts, a camera accepts connections and ends them."""
    source = RtspSource(ID, lambda: None, PATIENCE)
    hung_up = SourceUnreadable("hung up")
    source._session_failed(SourceUnavailable("hung up"), 60.0)
    for _ in range(rtsp_source.MAX_FAILED_SESSIONS_PROVEN - 1):
        assert source._session_failed(hung_up, 0.0) is hung_up
    assert source._readers[0] == "native"
    assert "ffmpeg is tried next" in str(source._session_failed(hung_up, 0.0))


def test_a_reader_that_has_read_the_camera_makes_no_other_more_patient():
    """A camera with UDP only starts anew, and is soon read by FFmpeg again."""
    source = RtspSource(ID, lambda: None, PATIENCE)
    source._readers.rotate()
    source._session_failed(SourceUnavailable("hung up"), 60.0)
    failed = []
    while "native" not in failed or source._readers[0] == "native":
        failed.append(source._readers[0])
        source._session_failed(SourceUnreadable("hung up"), 0.0)
    assert failed.count("ffmpeg") == rtsp_source.MAX_FAILED_SESSIONS_PROVEN
    assert failed.count("native") == rtsp_source.MAX_FAILED_SESSIONS


def test_a_camera_that_is_off_is_no_reason_for_another_reader():
    """Its name does not resolve, or its address refuses connections: by no reader's fault."""
    url = f"rtsp://127.0.0.1:{free_port()}/live"
    located = [check_source_url(url, LOOPBACK)] * rtsp_source.MAX_FAILED_SESSIONS
    source = RtspSource(ID, lambda: located.pop() if located else _unresolved(), PATIENCE)
    source._readers.rotate()
    for _ in range(2 * rtsp_source.MAX_FAILED_SESSIONS):
        with pytest.raises(SourceUnavailable) as caught:
            source._open()
        assert source._session_failed(caught.value, 0.0) is caught.value
    assert (source._readers[0], source._reasons) == ("ffmpeg", {})


def _unresolved():
    raise SourceUnavailable("The host name camera does not resolve.")


def test_a_camera_that_refuses_us_is_no_reason_for_another_reader(open_rtsp, seen, monkeypatch):
    monkeypatch.setattr(live, "FORBIDDEN_BACKOFF", live.UNAVAILABLE_BACKOFF)

    def refusing(request):
        return b"RTSP/1.0 401 Unauthorized\r\nCSeq: {cseq}\r\n\r\n"

    with Camera(sdp_of("H264"), answer=refusing) as camera:
        source = open_rtsp(camera.source().location)
        seen.wait(lambda s: len(camera.requests) >= 3)
        assert all("User-Agent: saccade" in request for request in camera.requests)
        assert source._reasons == {}
