"""Appends results and notes to Redis from a thread of its own; sets the publication time of results there."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

import redis.client
from pydantic import SecretStr

from streaming import wire
from streaming.results.connection import CLIENT_ERRORS, TIMEOUT_S, Connection, refuses_all
from streaming.results.keys import CHANNELS, Channel, EntryId, Note, entry_id_after, key_of, last_id
from streaming.results.outbox import OnPublished, Outbox, Pending, PendingFrame
from streaming.results.redis_clock import RedisClock
from streaming.vocabulary import FrameResult, StreamId

log = logging.getLogger(__name__)

_RETRY_S: Final = 0.25
_BATCH: Final = 256
"Most entries of one pipeline."
_MAX_KNOWN_KEYS: Final = 1_000
_CLOCK_ROUND_TRIPS: Final = 3
"On connecting; afterwards every batch is a measurement of the offset."

APPEND_FRAME: Final = """\
local time = redis.call('TIME')
local redis_us = time[1] * 1000000 + time[2]
local published_us = math.max(redis_us + ARGV[3], ARGV[4] + 0)
local published = string.format('%.6f', published_us / 1000000)
local total = string.format('%.6f', (published_us - ARGV[5]) / 1000000)
local data = ARGV[6] .. published .. ARGV[7] .. total .. ARGV[8]
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], ARGV[1], 'data', data)
return {redis_us, published, total}
"""
"""Appends a frame's result and fills in its time of publication.

KEYS: the Redis Stream. ARGV: entry id, maxlen, offset of our clock to Redis', when the result was assembled
and when its frame was captured (all three in whole microseconds; below 2^53, so exact in Lua's doubles), and
the three parts of the JSON. Times of Redis are those of the script's start, a few microseconds before the
append; the offset is an upper bound by tens of microseconds, so `published_s` is not before the append. Never
before `assembled_s` either, whatever the clocks do.

Measured with a payload of 1.5 kB on loopback, valkey-server 8, two cores: 164 us against 125 us for a plain
XADD alone in its pipeline, 54 us against 30 us in pipelines of 16, all on the writer's thread; 20 us against
4 us in the server. EVALSHA saves 1 us over EVAL and would have to reload the script after a restart, between
entries whose order has to stay; so the text is sent."""


class ResultWriter:
    """Writes results and notes without blocking the threads that publish them.

    One thread drains a bounded queue in pipelines. While Redis is away the newest entries wait and the oldest
    are lost and counted; when it is back the rest is written, nothing twice. The publishing thread encodes,
    so that a message that is not JSON fails where it was made (ValueError).
    """

    def __init__(
        self, redis_url: SecretStr, *, frames_maxlen: int, notes_maxlen: int, capacity: int = 2_000
    ) -> None:
        """Start the thread; it connects with the first entry.

        `frames_maxlen`, `notes_maxlen`: entries Redis holds (about) of frames, and of each other channel.
        `capacity`: entries that wait here. Raises InvalidSettings (not a Redis URL).
        """
        self._connection = Connection(redis_url)
        self._maxlen = dict.fromkeys(Channel, notes_maxlen) | {Channel.FRAMES: frames_maxlen}
        self._outbox = Outbox(capacity)
        self._clocks: dict[str, RedisClock] = {}
        "By node: each has its own clock."
        self._last: dict[str, EntryId] = {}
        "By key: the newest id known on this connection. Empty after a broken connection: read again."
        self._stopping = threading.Event()
        self._is_away = False
        self._quiet_until_s = 0.0
        self._thread = threading.Thread(target=self._run, name="result-writer", daemon=True)
        self._thread.start()

    def publish(self, result: FrameResult, on_published: OnPublished | None = None) -> None:
        """Queue a frame's result. The stored entry has the `published_s` and `latency_s.total` of its append.

        `on_published` is called when Redis has acknowledged the entry, on the writer's thread.
        """
        parts = wire.encode_parts(result)
        self._put(result.stream_id, Channel.FRAMES, PendingFrame(result, parts, on_published))

    def publish_note(self, note: Note) -> None:
        """Queue a message that is published beside the frames."""
        self._put(note.stream_id, CHANNELS[type(note)], wire.encode(note))

    def lost(self, stream_id: StreamId) -> int:
        """Return how many entries of this stream will never be in Redis."""
        return self._outbox.lost(stream_id)

    def forget(self, stream_id: StreamId) -> None:
        """Remove the counter of a stream that was removed."""
        self._outbox.forget(stream_id)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits, for `timeout_s` at most; entries that still wait then are lost and counted."""
        self._outbox.close()
        self._thread.join(timeout_s)
        self._stopping.set()
        self._thread.join(3 * TIMEOUT_S)

    def _put(self, stream_id: StreamId, channel: Channel, content: bytes | PendingFrame) -> None:
        entry = Pending(stream_id, key_of(stream_id, channel), self._maxlen[channel], content)
        if not self._outbox.put(entry):
            self._warn("Results are lost: the queue to Redis is full or closed.")

    def _run(self) -> None:
        while entries := self._outbox.take(_BATCH):
            while entries and not self._stopping.is_set():
                entries = self._attempt(entries)
            for entry in entries:
                self._outbox.count_lost(entry.stream_id)
        self._connection.close()

    def _attempt(self, entries: list[Pending]) -> list[Pending]:
        """Do one round; return the entries that are still to be written, in doubt or not yet sent."""
        if len(self._last) > _MAX_KNOWN_KEYS:
            self._last.clear()
        try:
            entries = self._without_stored(entries)
            nodes = {entry.key: self._connection.node_of(entry.key) for entry in entries}
            self._measure_clocks(set(nodes.values()))
            left, refusal = self._write(entries, nodes)
        except CLIENT_ERRORS as exc:
            self._pause(f"is away, results wait: {type(exc).__name__}")
            return entries
        if refusal is not None:
            self._pause(f"refuses results, they wait: {str(refusal).rstrip('.')}")
        elif self._is_away:
            self._is_away = False
            log.info("Redis is back, results are written again.")
        return left

    def _pause(self, what: str) -> None:
        """Wait before the next round; it may reach another server."""
        self._last.clear()
        self._clocks.clear()
        self._is_away = True
        self._connection.reconnect()
        self._warn(f"Redis at {self._connection.address} {what}.")
        self._stopping.wait(_RETRY_S)

    def _without_stored(self, entries: list[Pending]) -> list[Pending]:
        """Read the last ids of keys not seen on this connection; return `entries` less those already
        stored."""
        unknown = list({entry.key for entry in entries if entry.key not in self._last})
        in_doubt = [entry for entry in entries if entry.entry_id is not None]
        pipe = self._connection.client.pipeline(transaction=False)
        for key in unknown:
            pipe.xinfo_stream(key)
        for entry in in_doubt:
            pipe.xrange(entry.key, str(entry.entry_id), str(entry.entry_id))
        replies = pipe.execute(raise_on_error=False)
        self._last |= {key: last_id(reply) for key, reply in zip(unknown, replies, strict=False)}
        stored = {
            id(entry)
            for entry, reply in zip(in_doubt, replies[len(unknown) :], strict=True)
            if isinstance(reply, list) and reply and _is_stored(entry, reply[0][1].get(b"data", b""))
        }
        return [entry for entry in entries if id(entry) not in stored]

    def _measure_clocks(self, nodes: set[str]) -> None:
        """Measure the offsets of clocks that are unknown; on connections that are open already."""
        for node in nodes - self._clocks.keys():
            clock = RedisClock()
            for _ in range(_CLOCK_ROUND_TRIPS):
                sent_s = time.time()
                clock.note(sent_s, self._connection.time_s(node), time.time())
            self._clocks[node] = clock

    def _write(self, entries: list[Pending], nodes: dict[str, str]) -> tuple[list[Pending], Exception | None]:
        """Append the entries in one pipeline; `nodes` by key.

        Return the entries to be tried again, and why the server refuses everything, if it does.
        """
        pipe = self._connection.client.pipeline(transaction=False)
        for entry in entries:
            last = self._last[entry.key]
            # An entry in doubt keeps its id, so that its first sending, should it still arrive, and this one
            # exclude each other. If another writer has appended past it, it is renamed: Redis refuses the
            # first now.
            if entry.entry_id is None or entry.entry_id <= last:
                entry.entry_id = entry_id_after(last, time.time())
            self._last[entry.key] = entry.entry_id
            self._append(pipe, entry, self._clocks[nodes[entry.key]])
        sent_s = time.time()
        replies = pipe.execute(raise_on_error=False)
        received_s = time.time()
        left, refusal = [], None
        for entry, reply in zip(entries, replies, strict=True):
            # The script's reply is a list, a plain XADD's an id. Of another node since: not this clock's.
            if isinstance(reply, list) and self._connection.node_of(entry.key) == nodes[entry.key]:
                self._clocks[nodes[entry.key]].note(sent_s, reply[0] / 1e6, received_s)
            if isinstance(reply, Exception) and refuses_all(reply):
                refusal = reply
                left.append(entry)
            elif self._is_left(entry, reply):
                left.append(entry)
        return left, refusal

    def _append(self, pipe: redis.client.Pipeline, entry: Pending, clock: RedisClock) -> None:
        content, entry_id = entry.content, str(entry.entry_id)
        if isinstance(content, bytes):
            pipe.xadd(entry.key, {"data": content}, id=entry_id, maxlen=entry.maxlen)
            return
        result = content.result
        times_s = (clock.offset_s, result.assembled_s, result.captured_s)
        times_us = (round(1e6 * each_s) for each_s in times_s)
        arguments: tuple[Any, ...] = (entry_id, entry.maxlen, *times_us, *content.parts)
        # Not `eval`: a cluster's pipeline has no such method, only the command.
        pipe.execute_command("EVAL", APPEND_FRAME, 1, entry.key, *arguments)  # type: ignore[no-untyped-call]

    def _is_left(self, entry: Pending, reply: Any) -> bool:
        """Handle the reply to an append; true if the entry has to be tried again."""
        if not isinstance(reply, Exception):
            if isinstance(entry.content, PendingFrame):
                _acknowledge(entry.content, float(reply[1]), float(reply[2]))
            return False
        if "equal or smaller" in str(reply):
            self._last.pop(entry.key, None)
            return True
        self._outbox.count_lost(entry.stream_id)
        self._warn(f"Results are lost: Redis refuses {entry.key}: {reply}.")
        return False

    def _warn(self, line: str) -> None:
        """Log a warning, at most once a second."""
        now_s = time.monotonic()
        if now_s >= self._quiet_until_s:
            self._quiet_until_s = now_s + 1.0
            log.warning(line)


def _is_stored(entry: Pending, data: bytes) -> bool:
    """Whether `data`, found under the entry's id, is the entry; acknowledge it then."""
    content = entry.content
    if isinstance(content, bytes):
        return data == content
    times_s = content.parts.times_in(data)
    if times_s is None:
        return False
    _acknowledge(content, *times_s)
    return True


def _acknowledge(frame: PendingFrame, published_s: float, total_s: float) -> None:
    try:
        frame.published(published_s, total_s)
    except Exception:  # a bug of the publisher's must not end the writing of everybody's results
        log.exception("on_published failed")
