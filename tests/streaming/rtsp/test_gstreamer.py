"""GStreamer's RTSP server, which many cameras and encoders run, is read by TCP and by UDP."""

import itertools

import pytest

from streaming.rtsp.source import RtspSource
from streaming.sources.live import SourceLimits
from streaming.url_guard import check_source_url
from streaming.vocabulary import SourceState, StreamId
from tests.cameras import LOOPBACK
from tests.gstreamer import gstreamer

PATIENCE_S = 60
"On a loaded two-core machine."


@pytest.mark.parametrize(("transport", "reader"), [("tcp", "native"), ("udp", "ffmpeg")])
def test_the_rtsp_server_of_gstreamer_is_read(transport, reader, seen):
    """H.264 high profile. With UDP only, the server answers 461 to a request for TCP."""
    with gstreamer("serve", "h264-high", transport) as server:
        url = server.stdout.readline().strip()
        source = RtspSource(
            StreamId("gst"), lambda: check_source_url(url, LOOPBACK), SourceLimits(first_frame_s=PATIENCE_S)
        )
        source.start(seen.deliver, seen.report)
        try:
            seen.wait(lambda s: len(s.frames) >= 20, PATIENCE_S)
            assert (source.status.state, source.status.reader) == (SourceState.LIVE, reader)
        finally:
            source.stop()
    assert all(a.pts_s < b.pts_s for a, b in itertools.pairwise(seen.frames))
    red, *others = seen.frames[-1].pixels.mean(axis=(0, 1))
    assert red > 180 and max(others) < 80
