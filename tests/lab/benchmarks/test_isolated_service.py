"""A service of a measurement's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.benchmarks import isolated_service
from lab.benchmarks.isolated_service import service_apart, watched_stream
from lab.fixtures.rtsp_server import free_port
from streaming.errors import NotFound, SourceUnavailable
from streaming.settings import Settings
from streaming.vocabulary import StreamId, StreamSpec
from tests.servers import write_clip
from tests.up import CACHE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


async def test_a_stream_is_watched_while_it_is_live_and_then_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "clip.mp4")
    settings = Settings(cache_dir=CACHE, media_dirs=[tmp_path])
    async with service_apart(settings, tmp_path / "own") as service:
        async with watched_stream(service, StreamSpec(StreamId("clip"), str(clip))) as watching:
            assert watching.results
            assert await watching.first(lambda _: True, len(watching.results), 20) is not None
        with pytest.raises(NotFound):
            await service.supervisor.get_stream(StreamId("clip"))
        monkeypatch.setattr(isolated_service, "_LIVE_WITHIN_S", 1.0)
        nobody = StreamSpec(StreamId("nobody"), f"rtsp://127.0.0.1:{free_port()}/live")
        with pytest.raises(SourceUnavailable, match="No result"):
            async with watched_stream(service, nobody):
                raise AssertionError("it never came")
        assert await service.supervisor.list_streams() == []
