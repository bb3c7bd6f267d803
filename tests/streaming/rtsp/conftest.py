"""Fixtures of the RTSP tests: a real server, a source to start, encoded pictures."""

import pytest

from lab.fixtures.hostile_camera import encode_pictures
from streaming.rtsp.source import RtspSource
from streaming.url_guard import check_source_url
from streaming.vocabulary import StreamId
from tests.cameras import (
    LOOPBACK,
    PATIENCE,
)
from tests.servers import playing


@pytest.fixture
def open_rtsp(seen):
    """Starts an RTSP source on a URL, and stops it after the test."""
    sources = []

    def start(url, policy=LOOPBACK, timeouts=PATIENCE, reader="auto"):
        source = RtspSource(StreamId("camera"), lambda: check_source_url(url, policy), timeouts, reader)
        source.start(seen.deliver, seen.report)
        sources.append(source)
        return source

    yield start
    for source in sources:
        source.stop()


@pytest.fixture(scope="module")
def camera(clip):
    """A server of the module's; its tests leave it running."""
    with playing(clip) as (server, publisher):
        yield server, publisher


@pytest.fixture(scope="session")
def pictures():
    """Two seconds at 25 fps, an IDR frame a second."""
    return encode_pictures(50)
