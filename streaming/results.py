"""Redis: every read and every write. The only module that knows the client library.

    saccade:{<stream>}:frames|events|answers|words|errors    Redis Streams, one JSON message in field `data`
    saccade:streams, saccade:queries                         hashes id -> JSON, desired; survive a restart

The braces are Redis' hash tag: all of a stream's keys live on one node of a cluster. Redis' own errors become
StoreUnavailable here; a URL's password is never in a message or a log line.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import redis
import redis.asyncio
import redis.asyncio.connection
import redis.asyncio.retry
import redis.backoff
import redis.retry
from pydantic import SecretStr

from streaming import wire
from streaming.errors import InvalidMessage, InvalidSettings, StoreUnavailable
from streaming.outbox import BEFORE_ALL, EntryId, Outbox, Pending, entry_id_after
from streaming.redis_keys import CHANNELS, Note
from streaming.redis_keys import Channel as Channel
from streaming.redis_keys import key_of as key_of
from streaming.vocabulary import FrameResult, Query, QueryId, StreamId, StreamSpec

M = TypeVar("M", StreamSpec, Query)
log = logging.getLogger(__name__)

STREAMS_KEY: Final = "saccade:streams"
QUERIES_KEY: Final = "saccade:queries"
KEPT_AFTER_REMOVAL_S: Final = 3600
"Results of a removed stream stay readable this long, then Redis forgets them."

_TIMEOUT_S: Final = 1.0
_READ_TIMEOUT_S: Final = 5.0
"""A reader holds nobody up. Its timeout counts its own loop's delay too: on two busy cores 1.5 s was passed
while Redis was well."""
_BLOCK_S: Final = 0.5
_RETRY_S: Final = 0.25
_BATCH: Final = 256
_READ_COUNT: Final = 200
_KNOWN_KEYS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Stored:
    """One message as Redis keeps it."""

    channel: Channel
    entry_id: str
    data: bytes
    "JSON, see wire.py."


def ping(redis_url: SecretStr) -> None:
    """Return if Redis answers. Raises StoreUnavailable, InvalidSettings (not a Redis URL)."""
    client = _connect(redis_url)
    with _translated(client), client:
        client.ping()


class ResultWriter:
    """Writes results and reports without ever holding up whoever publishes them.

    One thread drains a bounded queue in pipelines. While Redis is away the newest entries wait and the
    oldest are lost and counted; when it is back the rest is written by itself, nothing twice. The caller's
    thread encodes, so that what cannot be written fails where it was made (ValueError).
    """

    def __init__(
        self, redis_url: SecretStr, *, frames_maxlen: int, notes_maxlen: int, capacity: int = 2_000
    ) -> None:
        """`frames_maxlen`, `notes_maxlen`: entries Redis keeps (about) of frames, and of each other channel.

        `capacity`: entries that wait here. Does not connect yet. Raises InvalidSettings (not a Redis URL).
        """
        self._redis = _connect(redis_url)
        self._maxlen = dict.fromkeys(Channel, notes_maxlen) | {Channel.FRAMES: frames_maxlen}
        self._outbox = Outbox(capacity)
        self._last: dict[str, EntryId] = {}
        "By key: the newest id we know of on this connection. Empty after a broken one: read again."
        self._stopping = threading.Event()
        self._away = False
        self._quiet_until_s = 0.0
        self._thread = threading.Thread(target=self._run, name="result-writer", daemon=True)
        self._thread.start()

    def publish(self, result: FrameResult) -> None:
        """Queue a frame's result."""
        self._put(result, Channel.FRAMES)

    def publish_note(self, note: Note) -> None:
        """Queue what is said beside the frames."""
        self._put(note, CHANNELS[type(note)])

    def written(self, stream_id: StreamId) -> int:
        """Entries of this stream that are in Redis by us."""
        return self._outbox.written(stream_id)

    def lost(self, stream_id: StreamId) -> int:
        """Entries of this stream that will never be in Redis."""
        return self._outbox.lost(stream_id)

    def forget(self, stream_id: StreamId) -> None:
        """Drop the counters of a stream that was removed."""
        self._outbox.forget(stream_id)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits, for `timeout_s` at most; what is left then is lost and counted."""
        self._outbox.close()
        self._thread.join(timeout_s)
        self._stopping.set()
        self._thread.join(3 * _TIMEOUT_S)

    def _put(self, message: FrameResult | Note, channel: Channel) -> None:
        key = key_of(message.stream_id, channel)
        entry = Pending(message.stream_id, key, self._maxlen[channel], wire.encode(message))
        if not self._outbox.put(entry):
            self._say("Results are lost: the queue to Redis is full or closed.")

    def _run(self) -> None:
        while entries := self._outbox.take(_BATCH):
            while entries and not self._stopping.is_set():
                entries = self._attempt(entries)
            for entry in entries:
                self._outbox.count_lost(entry.stream_id)
        self._redis.close()

    def _attempt(self, entries: list[Pending]) -> list[Pending]:
        """One round; what is still to be written, in doubt or not yet sent."""
        if len(self._last) > _KNOWN_KEYS:
            self._last.clear()
        try:
            entries = self._settle(entries)
            left = self._write(entries)
        except (redis.RedisError, OSError) as exc:
            self._last.clear()
            self._away = True
            self._say(f"Redis at {_place(self._redis)} is away, results wait: {type(exc).__name__}.")
            self._stopping.wait(_RETRY_S)
            return entries
        if self._away:
            self._away = False
            log.info("Redis is back, results flow again.")
        return left

    def _settle(self, entries: list[Pending]) -> list[Pending]:
        """Learn the last ids of keys not seen on this connection; count entries in doubt that did arrive."""
        unknown = list({entry.key for entry in entries if entry.key not in self._last})
        doubtful = [entry for entry in entries if entry.entry_id is not None]
        pipe = self._redis.pipeline(transaction=False)
        for key in unknown:
            pipe.xinfo_stream(key)
        for entry in doubtful:
            pipe.xrange(entry.key, str(entry.entry_id), str(entry.entry_id))
        replies = pipe.execute(raise_on_error=False)
        self._last |= {key: _last_id(reply) for key, reply in zip(unknown, replies, strict=False)}
        arrived = set()
        for entry, reply in zip(doubtful, replies[len(unknown) :], strict=True):
            if isinstance(reply, list) and reply and reply[0][1].get(b"data") == entry.data:
                self._outbox.count_written(entry.stream_id)
                arrived.add(id(entry))
        return [entry for entry in entries if id(entry) not in arrived]

    def _write(self, entries: list[Pending]) -> list[Pending]:
        pipe = self._redis.pipeline(transaction=False)
        for entry in entries:
            last = self._last[entry.key]
            # An entry in doubt keeps its id, so that its first sending, should it still arrive, and this one
            # exclude each other. If somebody has written past it, it is renamed: Redis refuses the first now.
            if entry.entry_id is None or entry.entry_id <= last:
                entry.entry_id = entry_id_after(last, time.time())
            self._last[entry.key] = entry.entry_id
            pipe.xadd(entry.key, {"data": entry.data}, id=str(entry.entry_id), maxlen=entry.maxlen)
        replies = pipe.execute(raise_on_error=False)
        return [entry for entry, reply in zip(entries, replies, strict=True) if self._is_left(entry, reply)]

    def _is_left(self, entry: Pending, reply: object) -> bool:
        """Book one reply; true if the entry has to be tried again."""
        if not isinstance(reply, Exception):
            self._outbox.count_written(entry.stream_id)
            return False
        if "equal or smaller" in str(reply):
            self._last.pop(entry.key, None)
            return True
        self._outbox.count_lost(entry.stream_id)
        self._say(f"Results are lost: Redis refuses {entry.key}: {reply}.")
        return False

    def _say(self, line: str) -> None:
        now_s = time.monotonic()
        if now_s >= self._quiet_until_s:
            self._quiet_until_s = now_s + 1.0
            log.warning(line)


class DesiredStore:
    """What people asked for: streams and queries. Thread-safe; every call raises StoreUnavailable.

    A write that raised may still have happened (its reply was lost); every write can be repeated.
    """

    def __init__(self, redis_url: SecretStr) -> None:
        """Does not connect yet. Raises InvalidSettings (not a Redis URL)."""
        self._redis = _connect(redis_url)

    def streams(self) -> list[StreamSpec]:
        """All streams by id. A broken record is logged and left out, so that the others still come back."""
        with _translated(self._redis):
            stored = self._redis.hgetall(STREAMS_KEY)
        return _decoded(StreamSpec, stored)

    def queries(self) -> list[Query]:
        """All queries by id; as `streams`."""
        with _translated(self._redis):
            stored = self._redis.hgetall(QUERIES_KEY)
        return _decoded(Query, stored)

    def put_stream(self, spec: StreamSpec) -> None:
        """Add or replace a stream. Its URL is kept whole, credentials included: it is needed to connect."""
        with _translated(self._redis), self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(STREAMS_KEY, spec.stream_id, wire.encode(spec))
            for channel in Channel:
                pipe.persist(key_of(spec.stream_id, channel))
            pipe.execute()

    def remove_stream(self, stream_id: StreamId) -> None:
        """Forget a stream and its queries; its results go after KEPT_AFTER_REMOVAL_S."""
        orphans = [query.query_id for query in self.queries() if query.stream_id == stream_id]
        with _translated(self._redis), self._redis.pipeline(transaction=True) as pipe:
            pipe.hdel(STREAMS_KEY, stream_id)
            if orphans:
                pipe.hdel(QUERIES_KEY, *orphans)
            for channel in Channel:
                pipe.expire(key_of(stream_id, channel), KEPT_AFTER_REMOVAL_S)
            pipe.execute()

    def put_query(self, query: Query) -> None:
        """Add a query or replace it by its next revision."""
        with _translated(self._redis):
            self._redis.hset(QUERIES_KEY, query.query_id, wire.encode(query))

    def remove_query(self, query_id: QueryId) -> None:
        """Forget a query."""
        with _translated(self._redis):
            self._redis.hdel(QUERIES_KEY, query_id)

    def replace_all(self, streams: Iterable[StreamSpec], queries: Iterable[Query]) -> None:
        """Make the stored state exactly this, at once: for a Redis that came back without its memory."""
        with _translated(self._redis), self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(STREAMS_KEY, QUERIES_KEY)
            for spec in streams:
                pipe.hset(STREAMS_KEY, spec.stream_id, wire.encode(spec))
            for query in queries:
                pipe.hset(QUERIES_KEY, query.query_id, wire.encode(query))
            pipe.execute()

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()


class ResultReader:
    """Reads what was published, for the gateway, the terminal and scripts. One asyncio loop owns it."""

    def __init__(self, redis_url: SecretStr) -> None:
        """Does not connect yet. Raises InvalidSettings (not a Redis URL)."""
        self._redis = redis.asyncio.Redis.from_url(
            _checked(redis_url),
            protocol=2,
            retry=redis.asyncio.retry.Retry(redis.backoff.NoBackoff(), 0),
            socket_connect_timeout=_READ_TIMEOUT_S,
            socket_timeout=_READ_TIMEOUT_S,
            client_name="saccade-reader",
        )

    async def ping(self) -> None:
        """Return if Redis answers. Raises StoreUnavailable."""
        with _translated(self._redis):
            await self._redis.ping()

    async def latest(self, stream_id: StreamId, channel: Channel, count: int) -> list[Stored]:
        """The newest `count` messages, oldest first. Raises StoreUnavailable."""
        with _translated(self._redis):
            entries: Any = await self._redis.xrevrange(key_of(stream_id, channel), count=count)
        return [_stored(channel, entry) for entry in reversed(entries)]

    async def length(self, stream_id: StreamId, channel: Channel) -> int:
        """Messages Redis holds now. Raises StoreUnavailable."""
        with _translated(self._redis):
            return int(await self._redis.xlen(key_of(stream_id, channel)))

    def tail(self, stream_id: StreamId, channels: Sequence[Channel] = tuple(Channel)) -> Tail:
        """Follow a stream's messages from the first `read` on."""
        return Tail(self._redis, stream_id, channels)

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


class Tail:
    """A place in a stream's messages that moves on with every `read`. Survives Redis restarts."""

    def __init__(self, client: redis.asyncio.Redis, stream_id: StreamId, channels: Sequence[Channel]) -> None:
        self._redis = client
        self._channel_of = {key_of(stream_id, channel): channel for channel in channels}
        self._after: dict[str, EntryId] = {}
        self._sure = False

    async def read(self) -> list[Stored]:
        """What came since the last call, each channel in order; waits 0.5 s at most, then maybe nothing.

        At most 200 messages of a channel at a time. Raises StoreUnavailable: call again later, nothing is
        skipped that Redis still has.
        """
        try:
            with _translated(self._redis):
                if not self._sure:
                    await self._find_place()
                return await self._read()
        except StoreUnavailable:
            self._sure = False
            raise
        finally:
            _stay_cancelled()

    async def _find_place(self) -> None:
        """Start at the end; after a pause go on, but not behind the end of a Redis that came back emptier."""
        pipe = self._redis.pipeline(transaction=False)
        for key in self._channel_of:
            pipe.xinfo_stream(key)
        replies = await pipe.execute(raise_on_error=False)
        ends = {key: _last_id(reply) for key, reply in zip(self._channel_of, replies, strict=True)}
        self._after = {key: min(self._after.get(key, end), end) for key, end in ends.items()}
        self._sure = True

    async def _read(self) -> list[Stored]:
        places: dict[Any, Any] = {key: str(after) for key, after in self._after.items()}
        reply: Any = await self._redis.xread(places, count=_READ_COUNT, block=int(_BLOCK_S * 1000))
        found = []
        for name, entries in reply:
            key = name.decode()
            self._after[key] = EntryId.parse(entries[-1][0].decode())
            found += [_stored(self._channel_of[key], entry) for entry in entries]
        return found


def _stay_cancelled() -> None:
    """Raise CancelledError if this task was cancelled: redis-py 8.1 swallows it while it connects."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _stored(channel: Channel, entry: Any) -> Stored:
    entry_id, fields = entry
    return Stored(channel, entry_id.decode(), fields.get(b"data", b""))


def _last_id(info: object) -> EntryId:
    """From the reply to XINFO STREAM. No stream of that name yet, or something else there: nothing before."""
    if isinstance(info, dict):
        return EntryId.parse(info["last-generated-id"].decode())
    if isinstance(info, Exception) and "no such key" not in str(info) and "WRONGTYPE" not in str(info):
        raise info
    return BEFORE_ALL


def _decoded(kind: type[M], stored: Mapping[Any, Any]) -> list[M]:
    whole = []
    for name in sorted(stored):
        try:
            whole.append(wire.decode(kind, stored[name]))
        except InvalidMessage as exc:
            log.error("Left out the stored %s %r: %s", kind.__name__, name, exc)
    return whole


def _connect(redis_url: SecretStr) -> redis.Redis:
    return redis.Redis.from_url(
        _checked(redis_url),
        protocol=2,
        # The client would repeat a whole pipeline by itself; when and what to repeat is decided here.
        retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
        socket_connect_timeout=_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        client_name="saccade",
    )


def _checked(redis_url: SecretStr) -> str:
    """The URL, less what it says of the protocol: that is ours to say, replies have other shapes in RESP3."""
    url = re.sub(r"(?<=[?&])protocol=\d+&?", "", redis_url.get_secret_value())
    try:
        redis.asyncio.connection.parse_url(url)
    except ValueError:
        # Not chained: the message may quote the password where the URL is malformed.
        how = "Write redis://[user:password@]host:port/0."
        raise InvalidSettings("redis_url is not a Redis URL.", remedy=how) from None
    return url


@contextmanager
def _translated(client: redis.Redis | redis.asyncio.Redis) -> Iterator[None]:
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, OSError) as exc:
        raise StoreUnavailable(
            f"Redis at {_place(client)} does not answer ({type(exc).__name__}).",
            remedy="Start it, or check redis_url.",
        ) from exc
    except redis.RedisError as exc:
        raise StoreUnavailable(f"Redis at {_place(client)} refused: {exc}.") from exc


def _place(client: redis.Redis | redis.asyncio.Redis) -> str:
    options = client.connection_pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")
