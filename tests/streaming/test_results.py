"""Redis, for real: nothing twice, nothing for ever, and it comes back by itself."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis
from pydantic import SecretStr

from actors.redis_server import StoreServer
from streaming import wire
from streaming.errors import InvalidSettings, SourceStalled, StoreUnavailable
from streaming.events import Event, EventType, WordsReport, error_report
from streaming.results import (
    KEPT_AFTER_REMOVAL_S,
    QUERIES_KEY,
    STREAMS_KEY,
    Channel,
    DesiredStore,
    ResultReader,
    ResultWriter,
    key_of,
    ping,
)
from streaming.vocabulary import (
    Clock,
    FrameResult,
    Latency,
    Query,
    QueryId,
    StreamId,
    StreamSpec,
    TrackId,
)

GATE = StreamId("gate")


def frame(stream_id: StreamId, index: int) -> FrameResult:
    return FrameResult(
        stream_id, index, 0.0, 1.0, Clock.ARRIVAL, 1.0, 640, 360, 0, Latency(0.001, 0.01, 0.02)
    )


@contextmanager
def writer_to(server: StoreServer, capacity: int = 2_000) -> Iterator[ResultWriter]:
    writer = ResultWriter(server.url, frames_maxlen=1_000, notes_maxlen=100, capacity=capacity)
    yield writer
    writer.close()


def plain(server: StoreServer) -> redis.Redis:
    """Any Redis client, as a user would have."""
    return redis.Redis.from_url(server.url.get_secret_value())


def indices(server: StoreServer, stream_id: StreamId) -> list[int]:
    with plain(server) as client:
        entries = client.xrange(key_of(stream_id, Channel.FRAMES))
    return [json.loads(fields[b"data"])["frame_index"] for _, fields in entries]  # type: ignore[union-attr]


def eventually(holds: Callable[[], bool], within_s: float = 8.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def test_what_is_published_is_in_redis_in_order_in_one_field(redis_server: StoreServer) -> None:
    stream_id = StreamId("ordered")
    with writer_to(redis_server) as writer:
        for index in range(500):
            writer.publish(frame(stream_id, index))
    assert indices(redis_server, stream_id) == list(range(500))
    with plain(redis_server) as client:
        entries = client.xrange(key_of(stream_id, Channel.FRAMES), count=1)
    assert list(entries[0][1]) == [b"data"]  # type: ignore[index]
    assert wire.decode(FrameResult, entries[0][1][b"data"]) == frame(stream_id, 0)  # type: ignore[index]


def test_notes_go_to_their_own_streams(redis_server: StoreServer) -> None:
    stream_id = StreamId("noted")
    event = Event(EventType.END, stream_id, TrackId(1), None, None, 1.0)
    words = WordsReport(stream_id, QueryId("q"), 1, 4, "There are", 1.0)
    error = error_report(stream_id, SourceStalled("No picture for 3 s."), 1.0)
    with writer_to(redis_server) as writer:
        writer.publish_note(event)
        writer.publish_note(words)
        writer.publish_note(error)
    with plain(redis_server) as client:
        stored = client.xrange(key_of(stream_id, Channel.EVENTS))
        assert wire.decode(Event, stored[0][1][b"data"]) == event  # type: ignore[index]
        said = client.xrange(key_of(stream_id, Channel.WORDS))
        assert wire.decode(WordsReport, said[0][1][b"data"]) == words  # type: ignore[index]
        assert client.xlen(key_of(stream_id, Channel.ERRORS)) == 1
        assert client.exists(key_of(stream_id, Channel.FRAMES)) == 0


def test_a_redis_stream_stays_short(redis_server: StoreServer) -> None:
    stream_id = StreamId("short")
    writer = ResultWriter(redis_server.url, frames_maxlen=50, notes_maxlen=10)
    for index in range(1_500):
        writer.publish(frame(stream_id, index))
    writer.close()
    kept = indices(redis_server, stream_id)
    # MAXLEN ~ drops whole nodes of 100 entries.
    assert 50 <= len(kept) <= 250
    assert kept[-1] == 1_499


def test_redis_restarted_under_a_writer_loses_nothing_and_writes_nothing_twice(
    own_redis: StoreServer,
) -> None:
    with writer_to(own_redis) as writer:
        for index in range(400):
            writer.publish(frame(GATE, index))
            if index in (100, 200):
                own_redis.restart()
            time.sleep(0.001)
        assert eventually(lambda: writer.written(GATE) == 400)
        assert writer.lost(GATE) == 0
    assert indices(own_redis, GATE) == list(range(400))


def test_redis_killed_in_mid_write_leaves_no_double(own_redis: StoreServer) -> None:
    with writer_to(own_redis) as writer:
        for index in range(300):
            writer.publish(frame(GATE, index))
            if index in (80, 160, 240):
                assert own_redis.pid is not None
                os.kill(own_redis.pid, signal.SIGKILL)
                own_redis.restart()
        assert eventually(lambda: writer.written(GATE) + writer.lost(GATE) == 300)
    kept = indices(own_redis, GATE)
    assert len(kept) == len(set(kept))
    assert kept == sorted(kept)
    assert kept[-1] == 299


def test_a_redis_that_hangs_holds_nobody_up_and_gets_everything_once(own_redis: StoreServer) -> None:
    """Replies are lost here: what was sent before the hang is executed after it."""
    assert own_redis.pid is not None
    with writer_to(own_redis) as writer:
        writer.publish(frame(GATE, 0))
        assert eventually(lambda: writer.written(GATE) == 1)
        os.kill(own_redis.pid, signal.SIGSTOP)
        # That this loop ends at all shows that nobody is held up. It outlasts the writer's time-out.
        for index in range(1, 200):
            writer.publish(frame(GATE, index))
            time.sleep(0.01)
        os.kill(own_redis.pid, signal.SIGCONT)
        assert eventually(lambda: writer.written(GATE) == 200)
        assert writer.lost(GATE) == 0
    assert indices(own_redis, GATE) == list(range(200))


def test_while_redis_is_away_the_oldest_are_lost_and_counted(own_redis: StoreServer) -> None:
    own_redis.stop()
    with writer_to(own_redis, capacity=50) as writer:
        for index in range(1_000):
            writer.publish(frame(GATE, index))
        own_redis.start()
        assert eventually(lambda: writer.written(GATE) + writer.lost(GATE) == 1_000)
        lost = writer.lost(GATE)
    assert 1_000 - 50 - 256 <= lost <= 1_000 - 50
    kept = indices(own_redis, GATE)
    assert len(kept) == 1_000 - lost
    assert kept[-50:] == list(range(950, 1_000))


def test_redis_back_without_its_memory_is_written_on(own_redis: StoreServer) -> None:
    with writer_to(own_redis) as writer, plain(own_redis) as client:
        writer.publish(frame(GATE, 0))
        assert eventually(lambda: writer.written(GATE) == 1)
        client.flushall()
        writer.publish(frame(GATE, 1))
        assert eventually(lambda: writer.written(GATE) == 2)
    assert indices(own_redis, GATE) == [1]


def test_a_clock_that_went_back_and_a_restarted_worker_do_not_stop_the_stream(
    redis_server: StoreServer,
) -> None:
    stream_id = StreamId("timewarp")
    with plain(redis_server) as client:
        ahead_ms = int(time.time() * 1000) + 3_600_000
        stale = wire.encode(frame(stream_id, 0))
        client.xadd(key_of(stream_id, Channel.FRAMES), {"data": stale}, id=f"{ahead_ms}-5")
    for index in (1, 2):
        with writer_to(redis_server) as writer:
            writer.publish(frame(stream_id, index))
    assert indices(redis_server, stream_id) == [0, 1, 2]


def test_two_writers_on_one_stream_both_get_through(redis_server: StoreServer) -> None:
    stream_id = StreamId("shared")
    with writer_to(redis_server) as one, writer_to(redis_server) as other:
        for index in range(0, 300, 2):
            one.publish(frame(stream_id, index))
            other.publish(frame(stream_id, index + 1))
        assert eventually(lambda: one.written(stream_id) + other.written(stream_id) == 300)
    assert sorted(indices(redis_server, stream_id)) == list(range(300))


def test_what_redis_refuses_is_lost_and_the_rest_goes_on(redis_server: StoreServer) -> None:
    taken, free = StreamId("taken"), StreamId("free")
    with plain(redis_server) as client:
        client.set(key_of(taken, Channel.FRAMES), "not a stream")
    with writer_to(redis_server) as writer:
        writer.publish(frame(taken, 0))
        writer.publish(frame(free, 0))
        assert eventually(lambda: writer.lost(taken) == 1)
        assert eventually(lambda: writer.written(free) == 1)


def test_closing_with_redis_away_ends_soon_and_counts_the_loss(own_redis: StoreServer) -> None:
    own_redis.stop()
    with writer_to(own_redis) as writer:
        for index in range(10):
            writer.publish(frame(GATE, index))
        writer.close(timeout_s=0.2)
        assert writer.lost(GATE) == 10


def test_a_message_that_cannot_be_written_fails_at_its_maker(redis_server: StoreServer) -> None:
    with writer_to(redis_server) as writer, pytest.raises(ValueError, match="not JSON compliant"):
        writer.publish(FrameResult(GATE, 0, float("inf"), 0, Clock.ARRIVAL, 0, 1, 1, 0, Latency(0, 0, 0)))


def test_desired_state_survives_a_restart_of_redis(own_redis: StoreServer) -> None:
    store = DesiredStore(own_redis.url)
    specs = [StreamSpec(StreamId(name), f"rtsp://user:p%40ss@{name}.example/") for name in ("a", "b")]
    asked = Query(QueryId("q1"), StreamId("a"), "das rote Auto", revision=2, accepted_s=5.0)
    for spec in specs:
        store.put_stream(spec)
    store.put_query(asked)
    own_redis.restart()
    assert (store.streams(), store.queries()) == (specs, [asked])
    store.remove_stream(StreamId("a"))
    assert (store.streams(), store.queries()) == (specs[1:], [])
    store.close()


def test_an_edited_query_replaces_its_old_revision(own_redis: StoreServer) -> None:
    store = DesiredStore(own_redis.url)
    for revision in (1, 2):
        store.put_query(Query(QueryId("q1"), GATE, f"words {revision}", revision=revision))
    assert [(query.text, query.revision) for query in store.queries()] == [("words 2", 2)]
    store.remove_query(QueryId("q1"))
    assert store.queries() == []
    store.close()


def test_everything_desired_is_written_back_at_once(own_redis: StoreServer) -> None:
    store = DesiredStore(own_redis.url)
    store.put_stream(StreamSpec(StreamId("old"), "whip:"))
    spec, asked = StreamSpec(GATE, "whip:"), Query(QueryId("q1"), GATE, "the car")
    store.replace_all([spec], [asked])
    assert (store.streams(), store.queries()) == ([spec], [asked])
    store.close()


def test_a_broken_record_does_not_hide_the_others(
    own_redis: StoreServer, caplog: pytest.LogCaptureFixture
) -> None:
    store = DesiredStore(own_redis.url)
    store.put_stream(StreamSpec(GATE, "whip:"))
    with plain(own_redis) as client:
        client.hset(STREAMS_KEY, "broken", "{")
        client.hset(QUERIES_KEY, "broken", wire.encode(StreamSpec(GATE, "whip:")))
    assert [spec.stream_id for spec in store.streams()] == [GATE]
    assert store.queries() == []
    assert caplog.text.count("Left out") == 2
    store.close()


def test_results_of_a_removed_stream_go_in_time_unless_it_comes_back(own_redis: StoreServer) -> None:
    store = DesiredStore(own_redis.url)
    store.put_stream(StreamSpec(GATE, "whip:"))
    with writer_to(own_redis) as writer:
        writer.publish(frame(GATE, 0))
    with plain(own_redis) as client:
        store.remove_stream(GATE)
        assert 0 < int(client.ttl(key_of(GATE, Channel.FRAMES))) <= KEPT_AFTER_REMOVAL_S  # type: ignore[arg-type]
        store.put_stream(StreamSpec(GATE, "whip:"))
        assert client.ttl(key_of(GATE, Channel.FRAMES)) == -1
    store.close()


def test_redis_away_is_one_error_with_its_place_and_no_password(own_redis: StoreServer) -> None:
    store = DesiredStore(own_redis.url)
    own_redis.stop()
    for call in (store.streams, store.queries, lambda: store.put_stream(StreamSpec(GATE, "whip:"))):
        with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:\d+ does not answer") as away:
            call()
        assert away.value.retryable
        assert own_redis.url.get_secret_value().split("@")[0] not in str(away.value)
    with pytest.raises(StoreUnavailable):
        ping(own_redis.url)
    store.close()


def test_a_wrong_password_is_said(own_redis: StoreServer) -> None:
    wrong = SecretStr(own_redis.url.get_secret_value().replace("redis://:", "redis://:not"))
    with pytest.raises(StoreUnavailable, match="Authentication"):
        ping(wrong)


@pytest.mark.parametrize("url", ["http://secret@x", "redis://:secret@host:port", "nonsense-secret"])
def test_what_is_no_redis_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        DesiredStore(SecretStr(url))
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_the_latest_are_the_newest_in_order(redis_server: StoreServer) -> None:
    stream_id = StreamId("latest")
    with writer_to(redis_server) as writer:
        for index in range(10):
            writer.publish(frame(stream_id, index))
    reader = ResultReader(redis_server.url)
    stored = await reader.latest(stream_id, Channel.FRAMES, 3)
    assert [wire.decode(FrameResult, one.data).frame_index for one in stored] == [7, 8, 9]
    assert await reader.length(stream_id, Channel.FRAMES) == 10
    assert await reader.latest(StreamId("never"), Channel.FRAMES, 3) == []
    await reader.close()


async def test_a_tail_tells_what_comes_and_nothing_from_before(redis_server: StoreServer) -> None:
    stream_id = StreamId("tailed")
    reader = ResultReader(redis_server.url)
    with writer_to(redis_server) as writer:
        writer.publish(frame(stream_id, 0))
        assert eventually(lambda: writer.written(stream_id) == 1)
        tail = reader.tail(stream_id)
        assert await tail.read() == []
        writer.publish(frame(stream_id, 1))
        writer.publish_note(error_report(stream_id, SourceStalled("No picture."), 1.0))
        assert eventually(lambda: writer.written(stream_id) == 3)
        stored = await tail.read()
    assert [one.channel for one in stored] == [Channel.FRAMES, Channel.ERRORS]
    await reader.close()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_whatever_protocol_the_url_asks_for_all_is_read(
    redis_server: StoreServer, protocol: int
) -> None:
    stream_id = StreamId(f"protocol{protocol}")
    url = SecretStr(f"{redis_server.url.get_secret_value()}?protocol={protocol}")
    writer, reader = ResultWriter(url, frames_maxlen=10, notes_maxlen=10), ResultReader(url)
    tail = reader.tail(stream_id)
    assert await tail.read() == []
    writer.publish(frame(stream_id, 0))
    assert len(await tail.read()) == 1
    assert len(await reader.latest(stream_id, Channel.FRAMES, 5)) == 1
    writer.close()
    assert (writer.written(stream_id), writer.lost(stream_id)) == (1, 0)
    await reader.close()


async def test_a_tail_goes_on_where_it_was_when_redis_comes_back(own_redis: StoreServer) -> None:
    reader = ResultReader(own_redis.url)
    tail = reader.tail(GATE, [Channel.FRAMES])
    with writer_to(own_redis) as writer:
        assert await tail.read() == []
        own_redis.stop()
        with pytest.raises(StoreUnavailable):
            await tail.read()
        writer.publish(frame(GATE, 0))
        own_redis.start()
        assert eventually(lambda: writer.written(GATE) == 1)
        assert len(await tail.read()) == 1
    await reader.close()


async def test_a_tail_is_not_stuck_behind_a_redis_that_came_back_younger(own_redis: StoreServer) -> None:
    reader = ResultReader(own_redis.url)
    key = key_of(GATE, Channel.FRAMES)
    with plain(own_redis) as client:
        tail = reader.tail(GATE, [Channel.FRAMES])
        client.xadd(key, {"data": b"{}"}, id="9999999999999-0")
        await tail.read()
        client.flushall()
        own_redis.restart()
        with pytest.raises(StoreUnavailable):
            await tail.read()
        assert await tail.read() == []
        client.xadd(key, {"data": b"{}"}, id="1000-0")
        assert [one.entry_id for one in await tail.read()] == ["1000-0"]
    await reader.close()


async def test_a_tail_that_is_cancelled_at_any_moment_ends(redis_server: StoreServer) -> None:
    for steps in range(4, 30, 2):
        reader = ResultReader(redis_server.url)
        reading = asyncio.create_task(reader.tail(GATE).read())
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await reader.close()
