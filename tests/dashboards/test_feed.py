"""Redis is read once per stream; a slow viewer loses frames and its memory is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
import redis
import websockets.asyncio.client as ws
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from actors.redis_server import RedisServer
from dashboards.feed import FeedHub, Viewer
from streaming.errors import LimitReached, ServiceUnavailable
from streaming.results.keys import Channel
from streaming.results.reader import ResultReader, Stored
from streaming.results.writer import ResultWriter
from streaming.vocabulary import FrameResult, QueryId, StreamId, Track, TrackId, TrackState
from tests.served import Service, frame

GATE = StreamId("feed-gate")


def stored(channel: Channel, number: int) -> Stored:
    return Stored(channel, f"{number}-0", str(number).encode())


async def test_a_viewer_gets_its_notes_in_order_and_the_newest_frame() -> None:
    viewer = Viewer()
    for number in range(5):
        viewer.offer(stored(Channel.FRAMES, number))
        viewer.offer(stored(Channel.EVENTS, 10 + number))
    assert await viewer.take() == [b"10", b"11", b"12", b"13", b"14", b"4"]
    assert viewer.lost == 4


async def test_a_viewer_that_never_reads_holds_one_frame_and_a_hundred_notes() -> None:
    viewer = Viewer()
    for number in range(10_000):
        viewer.offer(stored(Channel.FRAMES, number))
        viewer.offer(stored(Channel.ERRORS, number))
    assert len(await viewer.take()) == 101
    assert viewer.lost == 9_999 + 9_900


async def test_a_viewer_waits_for_something_and_loses_nothing_when_cancelled() -> None:
    viewer = Viewer()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(viewer.take(), 0.01)
    viewer.offer(stored(Channel.FRAMES, 1))
    assert await viewer.take() == [b"1"]


async def test_a_viewer_of_an_ended_feed_gets_service_unavailable() -> None:
    viewer = Viewer()
    viewer.close()
    with pytest.raises(ServiceUnavailable, match="The feed has ended"):
        await viewer.take()


async def test_many_viewers_of_a_stream_read_redis_once(redis_server: RedisServer) -> None:
    reader = ResultReader(redis_server.url)
    hub = FeedHub(reader)
    with redis.Redis.from_url(redis_server.url.get_secret_value()) as client:
        async with contextlib.AsyncExitStack() as stack:
            viewers = [await stack.enter_async_context(hub.watch(GATE)) for _ in range(20)]
            await told(viewers, redis_server)
            names = [one["lib-name"] for one in client.client_list()]
            assert names.count("saccade-reader") == 1
            assert hub.viewer_count == 20
    assert hub.viewer_count == 0
    await reader.close()


async def told(viewers: list[Viewer], server: RedisServer) -> None:
    """Publish until each viewer has got something: a feed starts at the end of what Redis holds."""
    writer = ResultWriter(server.url, frames_maxlen=100, notes_maxlen=100)
    takes = [asyncio.create_task(viewer.take()) for viewer in viewers]
    for index in range(500):
        writer.publish(frame(GATE, index))
        _, waiting = await asyncio.wait(takes, timeout=0.01)
        if not waiting:
            break
    await asyncio.to_thread(writer.close)
    assert all(b"saccade.frame/1" in take.result()[0] for take in takes)


async def test_redis_is_read_only_while_there_are_viewers(
    redis_server: RedisServer,
) -> None:
    reader = ResultReader(redis_server.url)
    hub = FeedHub(reader)
    for _ in range(2):
        async with hub.watch(GATE) as viewer:
            await told([viewer], redis_server)
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("feed")] == []
    await reader.close()


async def test_a_feed_goes_on_when_redis_comes_back(own_redis: RedisServer) -> None:
    reader = ResultReader(own_redis.url)
    hub = FeedHub(reader)
    async with hub.watch(GATE) as viewer:
        await told([viewer], own_redis)
        await asyncio.to_thread(own_redis.restart)
        await told([viewer], own_redis)
    await reader.close()


async def test_at_the_limit_the_next_viewer_is_refused(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboards.feed.MAX_VIEWERS", 1)
    reader = ResultReader(redis_server.url)
    hub = FeedHub(reader)
    async with hub.watch(GATE):
        with pytest.raises(LimitReached):
            await hub.watch(GATE).__aenter__()
    async with hub.watch(GATE):
        assert hub.viewer_count == 1
    await reader.close()


async def test_closing_the_hub_tells_its_viewers(redis_server: RedisServer) -> None:
    reader = ResultReader(redis_server.url)
    hub = FeedHub(reader)
    async with hub.watch(GATE) as viewer:
        await asyncio.sleep(0)
        await hub.close()
        with pytest.raises(ServiceUnavailable):
            await viewer.take()
    await reader.close()


async def test_a_feed_that_broke_is_begun_anew_for_the_next_viewer(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = ResultReader(redis_server.url)
    hub = FeedHub(reader)

    def broken(stream_id: StreamId) -> None:
        raise KeyError(stream_id)

    with monkeypatch.context() as patch:
        patch.setattr(reader, "tail", broken)
        async with hub.watch(GATE) as viewer:
            with pytest.raises(ServiceUnavailable):
                await viewer.take()
    async with hub.watch(GATE) as viewer:
        await told([viewer], redis_server)
    await reader.close()


async def test_the_feed_sends_results_as_they_are_published(served: Service) -> None:
    await served.add("fed")
    writer = ResultWriter(served.redis_url, frames_maxlen=100, notes_maxlen=100)
    async with ws.connect(served.feed_url("fed"), subprotocols=[Subprotocol("saccade")]) as viewer:
        assert viewer.subprotocol == "saccade"
        seen = []
        for index in range(1_000):
            writer.publish(frame("fed", index))
            with contextlib.suppress(TimeoutError):
                seen.append(json.loads(await asyncio.wait_for(viewer.recv(), 0.01))["frame_index"])
            if len(seen) == 20:
                break
    await asyncio.to_thread(writer.close)
    assert len(seen) == 20
    assert seen == sorted(set(seen))


async def test_a_feed_ends_when_its_stream_is_removed(
    served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboards.feed._SILENCE_S", 0.05)
    await served.add("short")
    async with ws.connect(served.feed_url("short")) as viewer:
        await served.http.delete("/v1/streams/short")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(viewer.recv(), 5)
        assert viewer.close_code == 4404


async def test_a_slow_viewer_loses_frames_and_delays_no_other(served: Service) -> None:
    await served.add("crowded")
    writer = ResultWriter(served.redis_url, frames_maxlen=50, notes_maxlen=10)
    url = served.feed_url("crowded")
    async with (
        ws.connect(url, max_size=None, max_queue=1, sock=shallow(url)) as asleep,
        ws.connect(url, max_size=None) as awake,
    ):
        seen: list[int] = []
        index = 0
        while len(seen) < 20:
            writer.publish(heavy(index))
            index += 1
            with contextlib.suppress(TimeoutError):
                seen.append(json.loads(await asyncio.wait_for(awake.recv(), 0.1))["frame_index"])
        got = [json.loads(await asleep.recv())["frame_index"]]
        while got[-1] < seen[-1]:
            got.append(json.loads(await asyncio.wait_for(asleep.recv(), 30))["frame_index"])
    await asyncio.to_thread(writer.close)
    assert got == sorted(set(got))
    assert len(got) <= got[-1] - got[0], "some between the first and the last were lost"


def shallow(url: str) -> socket.socket:
    """A connection whose end holds next to nothing: left alone, the kernel may keep 32 MiB for a reader."""
    place = urlsplit(url)
    end = socket.socket()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    end.connect((place.hostname, place.port))
    end.setblocking(False)
    return end


def heavy(index: int) -> FrameResult:
    """A result of 2 MiB: a few of them are more than what the sender's socket holds."""
    phrase = "x" * (2 << 20)
    track = Track(TrackId(1), QueryId("q"), 1, phrase, TrackState.LOST, 0.0, None, None, keyframe_index=0)
    return replace(frame("crowded", index), tracks=(track,))
