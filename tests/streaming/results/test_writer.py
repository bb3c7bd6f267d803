"""The writer against a real server: order, no duplicates, recovery, and the time of publication."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from actors.redis_server import RedisServer
from streaming import wire
from streaming.errors import SourceStalled
from streaming.events import Event, EventType, PartialAnswerReport, error_report
from streaming.results.keys import Channel, key_of
from streaming.results.writer import ResultWriter
from streaming.vocabulary import Clock, FrameResult, Latency, QueryId, StreamId, TrackId
from tests.redis_entries import GATE, eventually, frame, indices, plain, stored, writer_to

DELAY_S = 0.3


def decoded(server: RedisServer, stream_id: StreamId) -> list[FrameResult]:
    return [wire.decode(FrameResult, fields[b"data"]) for _, fields in stored(server, stream_id)]


@dataclass
class SlowRedis:
    """A TCP proxy in front of a server that holds back the client's bytes. Replies pass at once."""

    url: SecretStr
    delay_s: float = DELAY_S
    forwarded_s: float = 0.0
    "When the last bytes of the client went on to the server, Unix time."


@contextmanager
def slow(server: RedisServer) -> Iterator[SlowRedis]:
    split = urlsplit(server.url.get_secret_value())
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        url = split._replace(netloc=f"{split.netloc.rpartition(':')[0]}:{port}").geturl()
        proxy = SlowRedis(SecretStr(url))

        def serve() -> None:
            client, _ = listener.accept()
            with client, socket.create_connection((split.hostname or "", split.port or 0)) as upstream:
                while not ended.is_set():
                    readable, _, _ = select.select([client, upstream], [], [], 0.05)
                    for side in readable:
                        data = side.recv(1 << 20)
                        if not data:
                            return
                        if side is client:
                            time.sleep(proxy.delay_s)
                            proxy.forwarded_s = time.time()
                            upstream.sendall(data)
                        else:
                            client.sendall(data)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield proxy
        ended.set()
        thread.join(5)


def test_results_are_stored_in_order_in_one_field(redis_server: RedisServer) -> None:
    stream_id = StreamId("ordered")
    with writer_to(redis_server) as writer:
        for index in range(500):
            writer.publish(frame(stream_id, index))
    assert indices(redis_server, stream_id) == list(range(500))
    assert list(stored(redis_server, stream_id)[0][1]) == [b"data"]


def test_a_stored_result_differs_only_in_its_times_of_publication(redis_server: RedisServer) -> None:
    stream_id = StreamId("whole")
    result = replace(frame(stream_id, 0), captured_s=time.time() - 0.05, assembled_s=time.time())
    with writer_to(redis_server) as writer:
        writer.publish(result)
    found = decoded(redis_server, stream_id)[0]
    assert found.latency_s.total == pytest.approx(found.published_s - found.captured_s, abs=2e-6)
    assert replace(found, published_s=1.0, latency_s=result.latency_s) == result


def test_published_s_is_not_before_a_slow_redis_has_the_entry(redis_server: RedisServer) -> None:
    stream_id = StreamId("slow")
    acknowledged: list[FrameResult] = []
    with slow(redis_server) as proxy:
        writer = ResultWriter(proxy.url, frames_maxlen=100, notes_maxlen=100)
        result = replace(frame(stream_id, 0), captured_s=time.time() - 0.05, assembled_s=time.time())
        writer.publish(result, acknowledged.append)
        assert eventually(lambda: len(acknowledged) == 1)
        received_s = time.time()
        writer.close()
    found = decoded(redis_server, stream_id)
    assert found == acknowledged
    assert result.assembled_s + DELAY_S < proxy.forwarded_s <= found[0].published_s <= received_s
    assert found[0].latency_s.total > DELAY_S


def test_published_s_of_results_that_waited_is_when_redis_came_back(own_redis: RedisServer) -> None:
    own_redis.stop()
    with writer_to(own_redis) as writer:
        writer.publish(replace(frame(GATE, 0), captured_s=time.time(), assembled_s=time.time()))
        time.sleep(0.3)
        back_s = time.time()
        own_redis.start()
        assert eventually(lambda: indices(own_redis, GATE) == [0])
    found = decoded(own_redis, GATE)[0]
    assert back_s < found.published_s < time.time() + 0.01
    assert found.latency_s.total > 0.3


def test_published_s_is_never_before_assembled_s(redis_server: RedisServer) -> None:
    stream_id = StreamId("ahead")
    ahead_s = time.time() + 100
    with writer_to(redis_server) as writer:
        writer.publish(replace(frame(stream_id, 0), assembled_s=ahead_s))
    assert decoded(redis_server, stream_id)[0].published_s == pytest.approx(ahead_s, abs=1e-5)


def test_an_exception_of_on_published_does_not_stop_the_writer(redis_server: RedisServer) -> None:
    stream_id = StreamId("raising")

    def fail(_: FrameResult) -> None:
        raise RuntimeError

    with writer_to(redis_server) as writer:
        for index in range(3):
            writer.publish(frame(stream_id, index), fail)
    assert indices(redis_server, stream_id) == [0, 1, 2]


def test_notes_go_to_their_own_redis_streams(redis_server: RedisServer) -> None:
    stream_id = StreamId("noted")
    event = Event(EventType.END, stream_id, TrackId(1), None, None, 1.0)
    partial = PartialAnswerReport(stream_id, QueryId("q"), 1, 4, "There are", 1.0)
    error = error_report(stream_id, SourceStalled("No picture for 3 s."), 1.0)
    with writer_to(redis_server) as writer:
        writer.publish_note(event)
        writer.publish_note(partial)
        writer.publish_note(error)
    with plain(redis_server) as client:
        events = client.xrange(key_of(stream_id, Channel.EVENTS))
        assert wire.decode(Event, events[0][1][b"data"]) == event  # type: ignore[index]
        words = client.xrange(key_of(stream_id, Channel.WORDS))
        assert wire.decode(PartialAnswerReport, words[0][1][b"data"]) == partial  # type: ignore[index]
        assert client.xlen(key_of(stream_id, Channel.ERRORS)) == 1
        assert client.exists(key_of(stream_id, Channel.FRAMES)) == 0


def test_a_redis_stream_is_trimmed_to_maxlen(redis_server: RedisServer) -> None:
    stream_id = StreamId("short")
    writer = ResultWriter(redis_server.url, frames_maxlen=50, notes_maxlen=10)
    for index in range(1_500):
        writer.publish(frame(stream_id, index))
    writer.close()
    remaining = indices(redis_server, stream_id)
    # MAXLEN ~ drops whole nodes of 100 entries.
    assert 50 <= len(remaining) <= 250
    assert remaining[-1] == 1_499


def test_a_restart_of_redis_loses_nothing_and_duplicates_nothing(own_redis: RedisServer) -> None:
    acknowledged: list[FrameResult] = []
    with writer_to(own_redis) as writer:
        for index in range(400):
            writer.publish(frame(GATE, index), acknowledged.append)
            if index in (100, 200):
                own_redis.restart()
            time.sleep(0.001)
        assert eventually(lambda: len(acknowledged) == 400)
        assert writer.lost(GATE) == 0
    assert indices(own_redis, GATE) == list(range(400))


def test_redis_killed_during_writes_leaves_no_duplicate(own_redis: RedisServer) -> None:
    acknowledged: list[FrameResult] = []
    with writer_to(own_redis) as writer:
        for index in range(300):
            writer.publish(frame(GATE, index), acknowledged.append)
            if index in (80, 160, 240):
                assert own_redis.pid is not None
                os.kill(own_redis.pid, signal.SIGKILL)
                own_redis.restart()
        assert eventually(lambda: len(acknowledged) + writer.lost(GATE) == 300)
    remaining = indices(own_redis, GATE)
    assert len(remaining) == len(set(remaining))
    assert remaining == sorted(remaining)
    assert remaining[-1] == 299


def test_a_hanging_redis_blocks_no_publisher_and_gets_every_entry_once(own_redis: RedisServer) -> None:
    """Replies are lost here: Redis executes after the hang what was sent before it."""
    assert own_redis.pid is not None
    acknowledged: list[FrameResult] = []
    with writer_to(own_redis) as writer:
        writer.publish(frame(GATE, 0), acknowledged.append)
        assert eventually(lambda: len(acknowledged) == 1)
        os.kill(own_redis.pid, signal.SIGSTOP)
        # This loop ends only if `publish` does not block. It lasts longer than the writer's timeout.
        for index in range(1, 200):
            writer.publish(frame(GATE, index), acknowledged.append)
            time.sleep(0.01)
        os.kill(own_redis.pid, signal.SIGCONT)
        assert eventually(lambda: len(acknowledged) == 200)
        assert writer.lost(GATE) == 0
    assert indices(own_redis, GATE) == list(range(200))
    assert decoded(own_redis, GATE) == acknowledged


def test_while_redis_is_away_the_oldest_results_are_lost_and_counted(own_redis: RedisServer) -> None:
    own_redis.stop()
    acknowledged: list[FrameResult] = []
    with writer_to(own_redis, capacity=50) as writer:
        for index in range(1_000):
            writer.publish(frame(GATE, index), acknowledged.append)
        own_redis.start()
        assert eventually(lambda: len(acknowledged) + writer.lost(GATE) == 1_000)
        lost = writer.lost(GATE)
    assert 1_000 - 50 - 256 <= lost <= 1_000 - 50
    remaining = indices(own_redis, GATE)
    assert len(remaining) == 1_000 - lost
    assert remaining[-50:] == list(range(950, 1_000))


def test_writing_continues_on_a_redis_that_lost_its_data(own_redis: RedisServer) -> None:
    with writer_to(own_redis) as writer, plain(own_redis) as client:
        writer.publish(frame(GATE, 0))
        assert eventually(lambda: indices(own_redis, GATE) == [0])
        client.flushall()
        writer.publish(frame(GATE, 1))
        assert eventually(lambda: indices(own_redis, GATE) == [1])


def test_a_clock_set_back_and_a_restarted_writer_do_not_stop_the_stream(redis_server: RedisServer) -> None:
    stream_id = StreamId("timewarp")
    with plain(redis_server) as client:
        ahead_ms = int(time.time() * 1000) + 3_600_000
        stale = wire.encode(frame(stream_id, 0))
        client.xadd(key_of(stream_id, Channel.FRAMES), {"data": stale}, id=f"{ahead_ms}-5")
    for index in (1, 2):
        with writer_to(redis_server) as writer:
            writer.publish(frame(stream_id, index))
    assert indices(redis_server, stream_id) == [0, 1, 2]


def test_two_writers_of_one_stream_both_write_everything(redis_server: RedisServer) -> None:
    stream_id = StreamId("shared")
    with writer_to(redis_server) as first, writer_to(redis_server) as second:
        for index in range(0, 300, 2):
            first.publish(frame(stream_id, index))
            second.publish(frame(stream_id, index + 1))
        assert eventually(lambda: len(stored(redis_server, stream_id)) == 300)
    assert sorted(indices(redis_server, stream_id)) == list(range(300))


def test_an_entry_that_redis_refuses_is_lost_and_others_are_written(redis_server: RedisServer) -> None:
    taken, free = StreamId("taken"), StreamId("free")
    with plain(redis_server) as client:
        client.set(key_of(taken, Channel.FRAMES), "not a stream")
    with writer_to(redis_server) as writer:
        writer.publish(frame(taken, 0))
        writer.publish(frame(free, 0))
        assert eventually(lambda: writer.lost(taken) == 1)
        assert eventually(lambda: indices(redis_server, free) == [0])


def test_close_without_redis_returns_soon_and_counts_the_loss(own_redis: RedisServer) -> None:
    own_redis.stop()
    with writer_to(own_redis) as writer:
        for index in range(10):
            writer.publish(frame(GATE, index))
        writer.close(timeout_s=0.2)
        assert writer.lost(GATE) == 10


def test_a_result_that_is_not_json_raises_where_it_is_published(redis_server: RedisServer) -> None:
    with writer_to(redis_server) as writer, pytest.raises(ValueError, match="not JSON compliant"):
        writer.publish(FrameResult(GATE, 0, float("inf"), 0, Clock.ARRIVAL, 0, 1, 1, 0, Latency(0, 0, 0)))
