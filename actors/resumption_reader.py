"""Reads what a stream goes on from, where it is hosted: its snapshot, and its last messages in Redis."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pydantic import SecretStr

from actors.resumption import EVENTS_READ, Published, Resumption, resumption
from actors.snapshot_store import SnapshotStore
from streaming import wire
from streaming.errors import InvalidMessage, StoreUnavailable
from streaming.events import Event
from streaming.moment import StoredMoment
from streaming.results.keys import Channel
from streaming.results.reader import ResultReader
from streaming.vocabulary import FrameResult, StreamId

log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 1.0
"A stream does not wait for a Redis that is away: its frames are tracked all the same."


class ResumptionReader:
    """Belongs to one asyncio loop."""

    def __init__(self, store: SnapshotStore, redis_url: SecretStr) -> None:
        """Do not connect yet. Raises InvalidSettings (not a Redis URL)."""
        self._store = store
        self._reader = ResultReader(redis_url)

    async def of(self, stream_id: StreamId) -> Resumption:
        """Return how a stream goes on here, whichever process hosted it before."""
        snapshot, problem = None, ""
        try:
            snapshot = await asyncio.to_thread(self._store.load, stream_id)
        except InvalidMessage as exc:
            problem = exc.message
        except OSError as exc:
            problem = f"Its snapshot cannot be read: {exc.strerror}."
        return resumption(snapshot, await self._published(stream_id), StoredMoment.now(), problem)

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()

    async def _published(self, stream_id: StreamId) -> Published | None:
        """Return what Redis has of a stream; None if it cannot be read."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                frames = await self._reader.latest(stream_id, Channel.FRAMES, 1)
                events = await self._reader.latest(stream_id, Channel.EVENTS, EVENTS_READ)
            newest = [wire.decode(FrameResult, stored.data) for stored in frames]
            found = [wire.decode(Event, stored.data) for stored in events]
        except (StoreUnavailable, InvalidMessage, TimeoutError) as exc:
            log.warning("Stream %s: its last results cannot be read: %s", stream_id, exc or "no answer")
            return None
        return Published(newest[0] if newest else None, found)
