"""A `Control` in memory whose streams have real WebRTC sessions."""

from __future__ import annotations

import asyncio

from streaming.errors import NotFound
from streaming.settings import Settings
from streaming.sources.live import SourceLimits
from streaming.status import StreamStatus, WebRtcSession
from streaming.vocabulary import Frame, StreamId, StreamSpec
from streaming.webrtc.whep import WhepViewers
from streaming.webrtc.whip import WhipSource
from tests.doubles import MemoryControl
from tests.peers import LOOPBACK, until


class VideoControl(MemoryControl):
    """A control whose streams have real WebRTC sessions."""

    def __init__(self, settings: Settings = LOOPBACK) -> None:
        super().__init__()
        self._settings = settings
        self.out = WhepViewers(settings)
        self.ingest: WhipSource | None = None
        self.frames: list[Frame] = []
        "What was published, the last few."

    async def add_stream(self, spec: StreamSpec) -> StreamStatus:
        status = await super().add_stream(spec)
        if spec.url == "whip:":
            self.ingest = WhipSource(spec.stream_id, self._settings, SourceLimits())
            self.ingest.start(self._take, lambda _: None)
        return status

    async def whep_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        return WebRtcSession(*await self.out.offer(sdp))

    async def whep_end(self, stream_id: StreamId, session_id: str) -> None:
        await self.out.end(session_id)

    async def whip_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        if self.ingest is None:
            raise NotFound("There is no such stream.")
        return WebRtcSession(*await self.ingest.offer(sdp))

    async def whip_end(self, stream_id: StreamId, session_id: str) -> None:
        if self.ingest is None:
            raise NotFound("There is no such stream.")
        await self.ingest.end(session_id)

    async def close(self) -> None:
        await self.out.close()
        ingest = self.ingest
        if ingest is not None:
            await asyncio.to_thread(ingest.stop)
            await until(lambda: ingest._publisher is None)

    def _take(self, frame: Frame) -> None:
        self.out.push(frame)
        self.frames = [*self.frames[-5:], frame]
