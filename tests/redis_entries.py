"""Results for tests of Redis, and what a plain Redis client finds there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import redis

from actors.redis_server import RedisServer
from streaming.results.keys import Channel, key_of
from streaming.results.writer import ResultWriter
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId

GATE = StreamId("gate")


def frame(stream_id: StreamId, index: int) -> FrameResult:
    return FrameResult(
        stream_id, index, 0.0, 1.0, Clock.ARRIVAL, 1.0, 640, 360, 0, Latency(0.001, 0.01, 0.02)
    )


@contextmanager
def writer_to(server: RedisServer, capacity: int = 2_000) -> Iterator[ResultWriter]:
    writer = ResultWriter(server.url, frames_maxlen=1_000, notes_maxlen=100, capacity=capacity)
    yield writer
    writer.close()


def plain(server: RedisServer) -> redis.Redis:
    """Any Redis client, as a user would have."""
    return redis.Redis.from_url(server.url.get_secret_value())


def stored(server: RedisServer, stream_id: StreamId) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """(entry id, fields) of a stream's results, oldest first."""
    with plain(server) as client:
        return client.xrange(key_of(stream_id, Channel.FRAMES))  # type: ignore[return-value]


def indices(server: RedisServer, stream_id: StreamId) -> list[int]:
    """Frame indices of a stream's results, oldest first."""
    return [json.loads(fields[b"data"])["frame_index"] for _, fields in stored(server, stream_id)]


def eventually(holds: Callable[[], bool], within_s: float = 8.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True
