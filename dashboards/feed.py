"""The live feed: results and notes of a stream over WebSocket. Redis is read once per stream for all viewers.

A viewer buffers the newest frame and a short list of notes (events, answers, errors): a slow viewer loses
frames, and its memory is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from streaming.errors import LimitReached, NotFound, SaccadeError, ServiceUnavailable, StoreUnavailable
from streaming.results.keys import Channel
from streaming.results.reader import ResultReader, Stored
from streaming.vocabulary import StreamId

log = logging.getLogger(__name__)

MAX_VIEWERS: Final = 64
PROTOCOL: Final = "saccade"
"WebSocket subprotocol of the feed; offering it is optional."
CLOSE_NOT_FOUND: Final = 4404
"WebSocket close code: the stream was removed. 4000-4999 are for applications (RFC 6455 §7.4.2)."
CLOSE_TRY_AGAIN: Final = 1013
_NOTES: Final = 100
_SILENCE_S: Final = 5.0
_RETRY_S: Final = 0.25


class Viewer:
    """Buffer of a viewer: the newest frame and the last notes."""

    def __init__(self) -> None:
        self._frame: bytes | None = None
        self._notes: deque[bytes] = deque(maxlen=_NOTES)
        self._changed = asyncio.Event()
        self._closed = False
        self.lost = 0
        "Messages dropped because this viewer was too slow."

    def offer(self, stored: Stored) -> None:
        """Add a message; never blocks."""
        if stored.channel is Channel.FRAMES:
            self.lost += self._frame is not None
            self._frame = stored.data
        else:
            self.lost += len(self._notes) == _NOTES
            self._notes.append(stored.data)
        self._changed.set()

    def close(self) -> None:
        """End the feed: no more messages."""
        self._closed = True
        self._changed.set()

    async def take(self) -> list[bytes]:
        """Wait for a message; return all notes in order, then the newest frame.

        Raises ServiceUnavailable after `close`. Cancelling it loses no message.
        """
        await self._changed.wait()
        if self._closed:
            raise ServiceUnavailable("The feed has ended.", remedy="Connect again.")
        taken = list(self._notes)
        self._notes.clear()
        if self._frame is not None:
            taken.append(self._frame)
            self._frame = None
        self._changed.clear()
        return taken


class FeedHub:
    """Reads watched streams from Redis and distributes their messages to viewers. Belongs to one asyncio
    loop."""

    def __init__(self, reader: ResultReader) -> None:
        self._reader = reader
        self._viewers: dict[StreamId, set[Viewer]] = {}
        self._pumps: dict[StreamId, asyncio.Task[None]] = {}

    @property
    def viewer_count(self) -> int:
        """Number of viewers of all streams."""
        return sum(len(viewers) for viewers in self._viewers.values())

    @asynccontextmanager
    async def watch(self, stream_id: StreamId) -> AsyncIterator[Viewer]:
        """Add a viewer of a stream for the duration of the block. Raises LimitReached.

        The first viewer of a stream starts reading Redis, the last ends it.
        """
        if self.viewer_count >= MAX_VIEWERS:
            raise LimitReached(f"{MAX_VIEWERS} people watch already.", remedy="Close a page that watches.")
        viewer = Viewer()
        self._viewers.setdefault(stream_id, set()).add(viewer)
        if stream_id not in self._pumps or self._pumps[stream_id].done():
            self._pumps[stream_id] = asyncio.create_task(self._pump(stream_id), name=f"feed {stream_id}")
        try:
            yield viewer
        finally:
            await self._leave(stream_id, viewer)

    async def close(self) -> None:
        """End every feed and close its viewers."""
        pumps = list(self._pumps.values())
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def _leave(self, stream_id: StreamId, viewer: Viewer) -> None:
        viewers = self._viewers[stream_id]
        viewers.discard(viewer)
        if not viewers:
            del self._viewers[stream_id]
            if pump := self._pumps.pop(stream_id, None):
                pump.cancel()
                await asyncio.wait([pump])

    async def _pump(self, stream_id: StreamId) -> None:
        viewers = self._viewers[stream_id]
        try:
            tail = self._reader.tail(stream_id)
            while True:
                try:
                    messages = await tail.read()
                except StoreUnavailable:
                    # Not logged here: the writer logs it once a second.
                    await asyncio.sleep(_RETRY_S)
                    continue
                for message in messages:
                    for viewer in viewers:
                        viewer.offer(message)
        finally:
            # However it ends, no viewer waits for a message that never comes.
            for viewer in viewers:
                viewer.close()


async def serve_viewer(
    websocket: WebSocket, viewer: Viewer, check_stream: Callable[[], Awaitable[object]]
) -> None:
    """Accept a WebSocket and send it its viewer's messages until it disconnects.

    `check_stream` is awaited after `_SILENCE_S` without messages and raises when the stream was removed; the
    socket is then closed with CLOSE_NOT_FOUND, or with CLOSE_TRY_AGAIN for any other SaccadeError.
    """
    offered = PROTOCOL in websocket.scope.get("subprotocols", ())
    await websocket.accept(PROTOCOL if offered else None)
    sending = asyncio.create_task(_send_to(websocket, viewer, check_stream))
    disconnect = asyncio.create_task(_wait_for_disconnect(websocket))
    try:
        await asyncio.wait({sending, disconnect}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        disconnect.cancel()
        outcome, _ = await asyncio.gather(sending, disconnect, return_exceptions=True)
    if isinstance(outcome, SaccadeError):
        code = CLOSE_NOT_FOUND if isinstance(outcome, NotFound) else CLOSE_TRY_AGAIN
        # A close reason has at most 123 bytes (RFC 6455 §5.5).
        await websocket.close(code, outcome.message.encode()[:120].decode(errors="ignore"))
    elif isinstance(outcome, Exception) and not isinstance(outcome, WebSocketDisconnect):
        raise outcome


async def _send_to(
    websocket: WebSocket, viewer: Viewer, check_stream: Callable[[], Awaitable[object]]
) -> None:
    while True:
        try:
            async with asyncio.timeout(_SILENCE_S):
                messages = await viewer.take()
        except TimeoutError:
            await check_stream()
            continue
        for message in messages:
            await websocket.send_text(message.decode())


async def _wait_for_disconnect(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        continue
