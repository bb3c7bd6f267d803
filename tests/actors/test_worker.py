"""A worker without Ray: real clips, real Redis, small engines."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.grounder import Grounded
from actors.keyframe_queue import wants_words
from actors.partial_answers import OnPartial, PartialAnswer
from actors.redis_server import RedisServer
from actors.worker import Desired, Worker
from streaming import wire
from streaming.errors import Conflict, NotFound
from streaming.events import AnswerReport, PartialAnswerReport
from streaming.results.keys import Channel
from streaming.results.reader import ResultReader
from streaming.settings import Settings
from streaming.video_writer import VideoWriter
from streaming.vocabulary import (
    FrameResult,
    Keyframe,
    Query,
    QueryId,
    QueryKind,
    SourceState,
    StreamId,
    StreamSpec,
    TrackState,
)
from tests.doubles import ColourGrounder, ColourTracker, square_picture


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip of a red square, one with a black picture in it, and a file that is no video."""
    folder = tmp_path_factory.mktemp("clips")
    with VideoWriter(folder / "red.mp4", fps=30) as writer:
        for index in range(30):
            writer.write(square_picture((20 + index % 24, 20)), index / 30)
    with VideoWriter(folder / "black.mp4", fps=30) as writer:
        # Not a second long: the pause after a failure must not end on the same picture again.
        for index in range(50):
            writer.write(square_picture((20, 20)) * (index != 10), index / 30)
    (folder / "text.mp4").write_text("this is no video")
    return folder


class Grounding:
    """The way to a grounder that can be away."""

    def __init__(self) -> None:
        self.grounder = ColourGrounder()
        self.is_away = False

    async def __call__(self, keyframe: Keyframe, overhear: OnPartial) -> Grounded:
        if self.is_away:
            raise ConnectionError("the grounder died")
        if wants_words(keyframe):
            (query,) = keyframe.queries
            overhear(PartialAnswer(query.query_id, query.revision, "There is"))
        return Grounded(tuple(self.grounder.ground(keyframe)))


@asynccontextmanager
async def working(redis: RedisServer, clips: Path, ground: Grounding) -> AsyncIterator[Worker]:
    settings = Settings(media_dirs=[clips], source_connect_timeout_s=2.0)
    worker = Worker(settings, redis.url, lambda: ColourTracker, ground)
    try:
        yield worker
    finally:
        await worker.close()


def desired(*streams: tuple[str, Path | str], words: str | None = "the red square") -> Desired:
    specs = tuple(StreamSpec(StreamId(name), str(url)) for name, url in streams)
    queries = tuple(Query(QueryId(f"q-{spec.stream_id}"), spec.stream_id, words) for spec in specs if words)
    return Desired(specs, queries)


async def until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        await asyncio.sleep(0.02)


async def frames(reader: ResultReader, stream: str, count: int = 5) -> list[FrameResult]:
    return [
        wire.decode(FrameResult, stored.data)
        for stored in await reader.latest(StreamId(stream), Channel.FRAMES, count)
    ]


async def followed(reader: ResultReader, stream: str) -> FrameResult:
    """The newest result, once it has a mask."""
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        newest = await frames(reader, stream, 1)
        if newest and any(track.mask for track in newest[0].tracks):
            return newest[0]
        await asyncio.sleep(0.02)
    raise AssertionError(f"no mask on {stream}")


@pytest.fixture
async def reader(redis_server: RedisServer) -> AsyncIterator[ResultReader]:
    opened = ResultReader(redis_server.url)
    yield opened
    await opened.close()


async def test_a_hosted_stream_publishes_masks_that_redis_keeps(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await worker.host(desired(("w-red", clips / "red.mp4")))
        result = await followed(reader, "w-red")
        assert [track.phrase for track in result.tracks] == ["the red square"]
        (status,) = await worker.statuses()
        assert (status.state, status.width, status.height) == (SourceState.LIVE, 64, 48)
        assert status.tracked_fps > 0
        assert status.queries[0].prompt_to_mask_s is not None
        tracker = worker._hosted[StreamId("w-red")].session._tracker
        assert isinstance(tracker, ColourTracker) and tracker.settled > 0


async def test_hosting_the_same_again_changes_nothing(redis_server: RedisServer, clips: Path) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        wanted = desired(("w-same", clips / "red.mp4"))
        await worker.host(wanted)
        await until(lambda: worker._hosted[StreamId("w-same")].source.status.frames > 5)
        before = worker._hosted[StreamId("w-same")]
        await worker.host(wanted)
        assert worker._hosted[StreamId("w-same")] is before


async def test_a_stream_that_is_not_wanted_any_more_is_gone(redis_server: RedisServer, clips: Path) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await worker.host(desired(("w-a", clips / "red.mp4"), ("w-b", clips / "red.mp4")))
        await worker.host(desired(("w-b", clips / "red.mp4")))
        assert [status.stream_id for status in await worker.statuses()] == ["w-b"]
        assert not any('stream="w-a"' in str(family.samples) for family in await worker.metrics())


async def test_a_clip_that_is_no_video_fails_alone(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await worker.host(desired(("w-text", clips / "text.mp4"), ("w-good", clips / "red.mp4")))
        await followed(reader, "w-good")
        states = {status.stream_id: status for status in await worker.statuses()}
        assert states[StreamId("w-text")].state is SourceState.FAILED
        assert "not a video" in states[StreamId("w-text")].reason
        errors = await reader.latest(StreamId("w-text"), Channel.ERRORS, 1)
        assert b"source_invalid" in errors[0].data


async def test_a_tracker_that_fails_on_a_frame_costs_a_second_and_not_the_stream(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await worker.host(desired(("w-black", clips / "black.mp4")))
        deadline_s = time.monotonic() + 10
        while not await reader.latest(StreamId("w-black"), Channel.ERRORS, 1):
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.05)
        failed_at = (await frames(reader, "w-black", 1))[0].frame_index
        await until(lambda: worker._hosted[StreamId("w-black")].source.status.frames > failed_at + 40)
        while (await followed(reader, "w-black")).frame_index <= failed_at:
            await asyncio.sleep(0.02)


async def test_a_tracker_that_cannot_begin_again_is_tried_until_it_can(
    redis_server: RedisServer, clips: Path, reader: ResultReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = iter([MemoryError("not now")])
    reset = ColourTracker.reset

    def failing_once(tracker: ColourTracker) -> None:
        for trouble in troubles:
            raise trouble
        reset(tracker)

    monkeypatch.setattr(ColourTracker, "reset", failing_once)
    monkeypatch.setattr("actors.worker._AFTER_FAILURE_S", 0.1)
    async with working(redis_server, clips, Grounding()) as worker:
        await worker.host(desired(("w-again", clips / "black.mp4")))
        while not await reader.latest(StreamId("w-again"), Channel.ERRORS, 1):
            await asyncio.sleep(0.05)
        failed_at = (await frames(reader, "w-again", 1))[0].frame_index
        while (await followed(reader, "w-again")).frame_index <= failed_at:
            await asyncio.sleep(0.02)
    assert next(troubles, None) is None


async def test_without_a_grounder_frames_flow_and_masks_come_when_it_is_back(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    ground = Grounding()
    ground.is_away = True
    async with working(redis_server, clips, ground) as worker:
        await worker.host(desired(("w-late", clips / "red.mp4")))
        await until(lambda: worker._hosted[StreamId("w-late")].source.status.frames > 20)
        assert all(not result.tracks for result in await frames(reader, "w-late"))
        ground.is_away = False
        await followed(reader, "w-late")
        told = [json.loads(one.data) for one in await reader.latest(StreamId("w-late"), Channel.ERRORS, 100)]
    assert [(error["code"], error["stream_id"]) for error in told] == [("error", "w-late")], "said once"


async def test_words_of_an_answer_are_published_while_it_is_being_said_and_then_whole(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    name, query_id = StreamId("w-words"), QueryId("q-words")
    async with working(redis_server, clips, Grounding()) as worker:
        spec = StreamSpec(name, str(clips / "red.mp4"))
        query = Query(query_id, name, "is there something red?", QueryKind.ASK)
        await worker.host(Desired((spec,), (query,)))
        session = worker._hosted[name].session
        await until(lambda: [status.answer for status in session.query_statuses()] == ["Sure, [SEG]."])
        while not await reader.latest(name, Channel.ANSWERS, 1):
            await asyncio.sleep(0.02)
        (words,) = await reader.latest(name, Channel.WORDS, 10)
        (whole,) = await reader.latest(name, Channel.ANSWERS, 10)
    said, answer = wire.decode(PartialAnswerReport, words.data), wire.decode(AnswerReport, whole.data)
    assert (said.query_id, said.revision, said.text) == (query_id, 1, "There is")
    assert (answer.query_id, answer.keyframe_index) == (query_id, said.keyframe_index)


async def test_words_can_change_while_it_runs(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        wanted = desired(("w-edit", clips / "red.mp4"))
        await worker.host(wanted)
        before = await followed(reader, "w-edit")
        query = wanted.queries[0]
        edited = Query(query.query_id, query.stream_id, "the red thing", query.kind, 2)
        await worker.host(Desired(wanted.streams, (edited,)))
        session = worker._hosted[StreamId("w-edit")].session
        await until(lambda: session.query_statuses()[0].query.revision == 2)
        await until(lambda: session.query_statuses()[0].prompt_to_mask_s)
        frame_index = (await frames(reader, "w-edit", 1))[0].frame_index
        while (after := await followed(reader, "w-edit")).frame_index <= frame_index:
            await asyncio.sleep(0.02)
        assert after.tracks[0].track_id == before.tracks[0].track_id
        assert (after.tracks[0].revision, after.tracks[0].state) == (2, TrackState.ACTIVE)


async def test_only_a_whip_stream_can_be_published_to(redis_server: RedisServer, clips: Path) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await worker.host(desired(("w-file", clips / "red.mp4")))
        with pytest.raises(Conflict, match="whip:"):
            await worker.whip_offer(StreamId("w-file"), "v=0")
        with pytest.raises(NotFound):
            await worker.whep_offer(StreamId("w-none"), "v=0")
        with pytest.raises(NotFound):
            await worker.whep_end(StreamId("w-file"), "no-such-session")


async def test_a_closed_worker_has_written_everything_and_left_no_thread(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    import threading

    async with working(redis_server, clips, Grounding()) as worker:
        await worker.host(desired(("w-close", clips / "red.mp4")))
        await followed(reader, "w-close")
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if "w-close" in name or name == "result-writer"]


async def test_a_stream_that_the_policy_refuses_now_fails_alone(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await worker.host(desired(("w-refused", "rtsp://127.0.0.1/x"), ("w-fine", clips / "red.mp4")))
        await followed(reader, "w-fine")
        states = {status.stream_id: status for status in await worker.statuses()}
        assert states[StreamId("w-refused")].state is SourceState.FAILED
        assert "127.0.0.1" in states[StreamId("w-refused")].reason
