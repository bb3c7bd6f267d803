"""The desired state survives restarts of Redis and records that cannot be decoded."""

from __future__ import annotations

import pytest

from actors.redis_server import RedisServer
from streaming import wire
from streaming.results.desired_store import EXPIRE_AFTER_REMOVAL_S, DesiredStore
from streaming.results.keys import QUERIES_KEY, STREAMS_KEY, Channel, key_of
from streaming.vocabulary import Query, QueryId, StreamId, StreamSpec
from tests.redis_entries import GATE, frame, plain, writer_to


def test_desired_state_survives_a_restart_of_redis(own_redis: RedisServer) -> None:
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


def test_an_edited_query_replaces_its_previous_revision(own_redis: RedisServer) -> None:
    store = DesiredStore(own_redis.url)
    for revision in (1, 2):
        store.put_query(Query(QueryId("q1"), GATE, f"words {revision}", revision=revision))
    assert [(query.text, query.revision) for query in store.queries()] == [("words 2", 2)]
    store.remove_query(QueryId("q1"))
    assert store.queries() == []
    store.close()


def test_replace_all_replaces_streams_and_queries(own_redis: RedisServer) -> None:
    store = DesiredStore(own_redis.url)
    store.put_stream(StreamSpec(StreamId("old"), "whip:"))
    spec, asked = StreamSpec(GATE, "whip:"), Query(QueryId("q1"), GATE, "the car")
    store.replace_all([spec], [asked])
    assert (store.streams(), store.queries()) == ([spec], [asked])
    store.close()


def test_a_record_that_cannot_be_decoded_is_left_out_and_logged(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
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


def test_results_of_a_removed_stream_expire_unless_it_is_added_again(own_redis: RedisServer) -> None:
    store = DesiredStore(own_redis.url)
    store.put_stream(StreamSpec(GATE, "whip:"))
    with writer_to(own_redis) as writer:
        writer.publish(frame(GATE, 0))
    with plain(own_redis) as client:
        store.remove_stream(GATE)
        assert 0 < int(client.ttl(key_of(GATE, Channel.FRAMES))) <= EXPIRE_AFTER_REMOVAL_S  # type: ignore[arg-type]
        store.put_stream(StreamSpec(GATE, "whip:"))
        assert client.ttl(key_of(GATE, Channel.FRAMES)) == -1
    store.close()
