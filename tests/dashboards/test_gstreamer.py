"""GStreamer's webrtcbin publishes by WHIP and plays by WHEP. It uses no loopback addresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from actors.redis_server import RedisServer
from streaming.settings import Settings
from streaming.vocabulary import StreamId, StreamSpec
from tests.gstreamer import gstreamer
from tests.page import TOKEN, Service, serving, until
from tests.peers import red_image
from tests.video_control import VideoControl
from tests.video_service import play

START_S = 30
"Longest start of a program, on a loaded two-core machine."


@pytest.fixture
def control() -> VideoControl:
    return VideoControl(Settings())


@pytest.fixture
async def service(redis_server: RedisServer, tmp_path: Path, control: VideoControl) -> AsyncIterator[Service]:
    async with serving(control, redis_server.url, tmp_path) as one:
        yield one
    await control.close()


@pytest.mark.parametrize("encoder", ["h264-high", "vp8"])
async def test_gstreamer_publishes(service: Service, control: VideoControl, encoder: str) -> None:
    await control.add_stream(StreamSpec(StreamId("gst"), "whip:"))
    with gstreamer("publish", f"{service.url}/whip/gst", TOKEN, encoder) as process:
        await until(lambda: len(control.frames) > 3 or process.poll() is not None, START_S)
    assert control.frames[-1].size == (192, 320)
    assert is_red(control.frames[-1].pixels.mean(axis=(0, 1)))


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_gstreamer_plays(service: Service, control: VideoControl, codec: str) -> None:
    """Each codec is the only one of its offer."""
    stream_id = await service.live_stream("red", red_image().shape[:2])
    playing = asyncio.create_task(play(control, stream_id))
    with gstreamer("watch", f"{service.url}/whep/red", TOKEN, codec) as process:
        assert process.stdout is not None
        async with asyncio.timeout(START_S):
            line = await asyncio.to_thread(process.stdout.readline)
    playing.cancel()
    assert is_red(np.array(line.split(), int))


def is_red(rgb: np.ndarray) -> bool:
    return bool(rgb[0] > 180 and rgb[1:].max() < 80)
