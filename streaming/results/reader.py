"""Reads published messages from Redis, on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio
from pydantic import SecretStr

from streaming.errors import StoreUnavailable
from streaming.results.connection import close_async, connect_async, store_errors
from streaming.results.keys import Channel, EntryId, key_of, last_id
from streaming.results.redis_url import parse_redis_url
from streaming.vocabulary import StreamId

_BLOCK_S: Final = 0.5
"Longest wait of a Tail for a message, in Redis."
_READ_COUNT: Final = 200
"Most messages of a channel in one read of a Tail."


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as stored in Redis."""

    channel: Channel
    entry_id: str
    data: bytes
    "JSON, see wire.py."


class ResultReader:
    """Reads messages, for the gateway, the terminal and scripts. Belongs to one asyncio loop."""

    def __init__(self, redis_url: SecretStr) -> None:
        """Do not connect yet. Raises InvalidSettings (not a Redis URL)."""
        target = parse_redis_url(redis_url)
        self._redis = connect_async(target)
        self._address = target.address

    async def ping(self) -> None:
        """Return if Redis answers. Raises StoreUnavailable."""
        with store_errors(self._address):
            await self._redis.ping()

    async def latest(self, stream_id: StreamId, channel: Channel, count: int) -> list[Stored]:
        """Return the newest `count` messages, oldest first. Raises StoreUnavailable."""
        with store_errors(self._address):
            entries: Any = await self._redis.xrevrange(key_of(stream_id, channel), count=count)
        return _stored(channel, reversed(entries))

    async def length(self, stream_id: StreamId, channel: Channel) -> int:
        """Return how many messages Redis holds now. Raises StoreUnavailable."""
        with store_errors(self._address):
            return int(await self._redis.xlen(key_of(stream_id, channel)))

    def tail(self, stream_id: StreamId, channels: Sequence[Channel] = tuple(Channel)) -> Tail:
        """Follow a stream's messages from the first `Tail.read` on."""
        return Tail(self._redis, self._address, stream_id, channels)

    async def close(self) -> None:
        """Close the connections."""
        await close_async(self._redis)


class Tail:
    """A position in a stream's messages that advances with every `read`. Survives restarts of Redis."""

    def __init__(
        self, client: redis.asyncio.Redis, address: str, stream_id: StreamId, channels: Sequence[Channel]
    ) -> None:
        self._redis = client
        self._address = address
        self._channel_of = {key_of(stream_id, channel): channel for channel in channels}
        self._after: dict[str, EntryId] = {}
        self._is_positioned = False

    async def read(self) -> list[Stored]:
        """Return the messages since the last call, in order within a channel; wait for them at most 0.5 s.

        At most 200 messages of a channel at a time. Raises StoreUnavailable: call again later; no message is
        skipped that Redis still holds.
        """
        try:
            with store_errors(self._address):
                if not self._is_positioned:
                    await self._position()
                return await self._read()
        except StoreUnavailable:
            self._is_positioned = False
            raise
        finally:
            _raise_if_cancelled()

    async def _position(self) -> None:
        """Start at the end. After a pause continue, but not beyond the end of a Redis that lost entries."""
        pipe = self._redis.pipeline(transaction=False)
        for key in self._channel_of:
            pipe.xinfo_stream(key)
        replies = await pipe.execute(raise_on_error=False)
        found = zip(self._channel_of, replies, strict=True)
        # Another program's key of another type would fail the read of all: it is left out, and tried again.
        ends = {key: last_id(reply) for key, reply in found if "WRONGTYPE" not in str(reply)}
        self._after = {key: min(self._after.get(key, end), end) for key, end in ends.items()}
        self._is_positioned = len(ends) == len(self._channel_of)

    async def _read(self) -> list[Stored]:
        if not self._after:
            await asyncio.sleep(_BLOCK_S)
            return []
        positions: dict[Any, Any] = {key: str(after) for key, after in self._after.items()}
        reply: Any = await self._redis.xread(positions, count=_READ_COUNT, block=int(_BLOCK_S * 1000))
        found = []
        for name, entries in reply:
            key = name.decode()
            self._after[key] = EntryId.parse(entries[-1][0].decode())
            found += _stored(self._channel_of[key], entries)
        return found


def _raise_if_cancelled() -> None:
    """Raise CancelledError if this task was cancelled: redis-py 8.1 swallows it while it connects."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _stored(channel: Channel, entries: Iterable[Any]) -> list[Stored]:
    """Return the messages among entries: others, without the field, are another program's."""
    return [
        Stored(channel, entry_id.decode(), fields[b"data"])
        for entry_id, fields in entries
        if b"data" in (fields or {})
    ]
