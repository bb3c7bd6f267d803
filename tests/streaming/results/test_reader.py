"""Readers return messages in order and survive restarts of Redis."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from actors.redis_server import RedisServer
from streaming import wire
from streaming.errors import SourceStalled, StoreUnavailable
from streaming.events import error_report
from streaming.results.keys import Channel, key_of
from streaming.results.reader import ResultReader
from streaming.results.writer import ResultWriter
from streaming.vocabulary import FrameResult, StreamId
from tests.redis_entries import GATE, eventually, frame, indices, plain, writer_to


async def test_latest_returns_the_newest_messages_oldest_first(redis_server: RedisServer) -> None:
    stream_id = StreamId("latest")
    with writer_to(redis_server) as writer:
        for index in range(10):
            writer.publish(frame(stream_id, index))
    reader = ResultReader(redis_server.url)
    stored = await reader.latest(stream_id, Channel.FRAMES, 3)
    assert [wire.decode(FrameResult, each.data).frame_index for each in stored] == [7, 8, 9]
    assert await reader.length(stream_id, Channel.FRAMES) == 10
    assert await reader.latest(StreamId("never"), Channel.FRAMES, 3) == []
    await reader.close()


async def test_a_tail_starts_at_the_end(redis_server: RedisServer) -> None:
    stream_id = StreamId("tailed")
    reader = ResultReader(redis_server.url)
    with writer_to(redis_server) as writer:
        writer.publish(frame(stream_id, 0))
        assert eventually(lambda: indices(redis_server, stream_id) == [0])
        tail = reader.tail(stream_id)
        assert await tail.read() == []
        writer.publish(frame(stream_id, 1))
        writer.publish_note(error_report(stream_id, SourceStalled("No picture."), 1.0))
        with plain(redis_server) as client:
            assert eventually(lambda: client.xlen(key_of(stream_id, Channel.ERRORS)) == 1)
        stored = await tail.read()
    assert [each.channel for each in stored] == [Channel.FRAMES, Channel.ERRORS]
    await reader.close()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_the_protocol_option_of_the_url_is_ignored(redis_server: RedisServer, protocol: int) -> None:
    stream_id = StreamId(f"protocol{protocol}")
    url = SecretStr(f"{redis_server.url.get_secret_value()}?protocol={protocol}")
    writer, reader = ResultWriter(url, frames_maxlen=10, notes_maxlen=10), ResultReader(url)
    tail = reader.tail(stream_id)
    assert await tail.read() == []
    writer.publish(frame(stream_id, 0))
    assert len(await tail.read()) == 1
    assert len(await reader.latest(stream_id, Channel.FRAMES, 5)) == 1
    writer.close()
    assert writer.lost(stream_id) == 0
    await reader.close()


async def test_a_tail_continues_at_its_position_after_a_restart_of_redis(own_redis: RedisServer) -> None:
    reader = ResultReader(own_redis.url)
    tail = reader.tail(GATE, [Channel.FRAMES])
    with writer_to(own_redis) as writer:
        assert await tail.read() == []
        own_redis.stop()
        with pytest.raises(StoreUnavailable):
            await tail.read()
        writer.publish(frame(GATE, 0))
        own_redis.start()
        assert eventually(lambda: indices(own_redis, GATE) == [0])
        assert len(await tail.read()) == 1
    await reader.close()


async def test_a_tail_follows_a_redis_whose_last_id_went_back(own_redis: RedisServer) -> None:
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
        assert [each.entry_id for each in await tail.read()] == ["1000-0"]
    await reader.close()


async def test_a_foreign_key_or_entry_stops_no_other_message(redis_server: RedisServer) -> None:
    stream_id = StreamId("visited")
    frames, events = key_of(stream_id, Channel.FRAMES), key_of(stream_id, Channel.EVENTS)
    reader = ResultReader(redis_server.url)
    tail = reader.tail(stream_id)
    with plain(redis_server) as client:
        client.set(events, "another program's")
        assert await tail.read() == []
        client.xadd(frames, {"other": b"fields"})
        client.xadd(frames, {"data": b"{}"}, id="9999999999999-1")
        assert [each.entry_id for each in await tail.read()] == ["9999999999999-1"]
        assert [each.data for each in await reader.latest(stream_id, Channel.FRAMES, 5)] == [b"{}"]
        client.delete(events)
        await tail.read()
        client.xadd(events, {"data": b"{}"})
        assert [each.channel for each in await tail.read()] == [Channel.EVENTS]
    await reader.close()


async def test_a_tail_of_foreign_keys_only_has_no_messages(redis_server: RedisServer) -> None:
    stream_id = StreamId("foreign")
    reader = ResultReader(redis_server.url)
    with plain(redis_server) as client:
        client.set(key_of(stream_id, Channel.FRAMES), "another program's")
    assert await reader.tail(stream_id, [Channel.FRAMES]).read() == []
    await reader.close()


async def test_a_cancelled_read_raises_cancelled_error_at_any_await(redis_server: RedisServer) -> None:
    for steps in range(4, 30, 2):
        reader = ResultReader(redis_server.url)
        reading = asyncio.create_task(reader.tail(GATE).read())
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await reader.close()
