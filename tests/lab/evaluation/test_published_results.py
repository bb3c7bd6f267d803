"""Reading what a stream publishes, against a real Redis."""

from __future__ import annotations

import pytest

from actors.redis_server import RedisServer
from lab.evaluation.published_results import Watching, reading
from streaming.events import AnswerReport
from streaming.results.writer import ResultWriter
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId


def result(stream: str, index: int) -> FrameResult:
    return FrameResult(StreamId(stream), index, 0, 0, Clock.ARRIVAL, 0, 4, 4, 0, Latency(0, 0, 0))


@pytest.fixture
def writer(redis_server: RedisServer):
    writer = ResultWriter(redis_server.url, frames_maxlen=1000, notes_maxlen=1000)
    yield writer
    writer.close()


async def test_everything_published_from_then_on_is_read(
    writer: ResultWriter, redis_server: RedisServer
) -> None:
    watching, stream = Watching(), StreamId("watched")
    async with reading(redis_server.url, stream, watching.take):
        for index in range(20):
            writer.publish(result(stream, index))
        writer.publish_note(AnswerReport(stream, "q", 1, 0, "I cannot see it.", None, 100.0))
        last = await watching.first(lambda one: one.frame_index == 19, 0, 20)
    assert last is not None
    assert [one.frame_index for one in watching.results] == list(range(20))
    assert len(watching.read_s) == 20 and watching.read_s == sorted(watching.read_s)
    assert [answer.text for answer in watching.answers] == ["I cannot see it."]


async def test_what_came_before_the_place_waited_from_does_not_count(
    writer: ResultWriter, redis_server: RedisServer
) -> None:
    watching, stream = Watching(), StreamId("waited")
    async with reading(redis_server.url, stream, watching.take):
        writer.publish(result(stream, 0))
        assert await watching.first(lambda _: True, 0, 20) is not None
        assert await watching.first(lambda _: True, 1, 0.05) is None
        writer.publish(result(stream, 1))
        found = await watching.first(lambda _: True, 1, 20)
    assert found is not None and found.frame_index == 1


async def test_a_result_that_is_there_already_is_found_at_once() -> None:
    watching = Watching()
    watching.take(result("s", 3))
    found = await watching.first(lambda one: one.frame_index == 3, 0, 0.01)
    assert found is not None


async def test_what_never_holds_is_waited_for_no_longer_than_asked() -> None:
    watching = Watching()
    watching.take(result("s", 3))
    assert await watching.first(lambda one: one.frame_index == 4, 0, 0.01) is None
