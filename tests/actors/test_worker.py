"""A worker without Ray, with real clips, a real Redis and small engines."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from actors.desired_state import Delta, DesiredState
from actors.grounder import Grounded
from actors.keyframe_queue import needs_text
from actors.partial_answers import OnPartial, PartialAnswer
from actors.redis_server import RedisServer
from actors.snapshot_store import SnapshotStore
from actors.worker import Worker
from streaming import wire
from streaming.errors import Conflict, NotFound
from streaming.events import AnswerReport, Event, EventType, PartialAnswerReport
from streaming.results.keys import Channel
from streaming.results.reader import ResultReader
from streaming.settings import Settings
from streaming.status import StreamStatus
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
from tests.doubles import ColourGrounder, ColourTracker, square_image


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip of a red square, a clip with a black frame in it, and a file that is no video."""
    folder = tmp_path_factory.mktemp("clips")
    with VideoWriter(folder / "red.mp4", fps=30) as writer:
        for index in range(30):
            writer.write(square_image((20 + index % 24, 20)), index / 30)
    with VideoWriter(folder / "black.mp4", fps=30) as writer:
        # Longer than a second: the pause after a failure must not end on the black frame again.
        for index in range(50):
            writer.write(square_image((20, 20)) * (index != 10), index / 30)
    (folder / "text.mp4").write_text("this is no video")
    return folder


class Grounding:
    """A `Ground` function whose grounder can be away."""

    def __init__(self) -> None:
        self.grounder = ColourGrounder()
        self.is_away = False

    async def __call__(self, keyframe: Keyframe, on_partial: OnPartial) -> Grounded:
        if self.is_away:
            raise ConnectionError("the grounder died")
        if needs_text(keyframe):
            (query,) = keyframe.queries
            on_partial(PartialAnswer(query.query_id, query.revision, "There is"))
        return Grounded(tuple(self.grounder.ground(keyframe)))


@asynccontextmanager
async def working(redis: RedisServer, clips: Path, ground: Grounding) -> AsyncIterator[Worker]:
    settings = Settings(media_dirs=[clips], state_dir=clips / "state", source_connect_timeout_s=2.0)
    worker = Worker(settings, redis.url, lambda: ColourTracker, ground)
    try:
        yield worker
    finally:
        await worker.close()


def put(desired: DesiredState, name: str, url: Path | str, text: str = "the red square") -> Query:
    """Add a stream with one query; return the query."""
    desired.put_stream(StreamSpec(StreamId(name), str(url)))
    query = Query(QueryId(f"q-{name}"), StreamId(name), text)
    desired.put_query(query)
    return query


async def apply(worker: Worker, desired: DesiredState) -> None:
    """Bring the worker up to date, as its client does."""
    while (delta := desired.delta(0, (await worker.heartbeat()).version)) is not None:
        await worker.apply(delta)


async def host(worker: Worker, *streams: tuple[str, Path | str]) -> DesiredState:
    """Have the worker host streams with a query each."""
    desired = DesiredState(1)
    for name, url in streams:
        put(desired, name, url)
    await apply(worker, desired)
    return desired


async def statuses(worker: Worker) -> dict[str, StreamStatus]:
    return {str(status.stream_id): status for status in (await worker.heartbeat()).statuses}


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


async def tracked(reader: ResultReader, stream: str) -> FrameResult:
    """Return the newest result, once it has a mask."""
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


async def test_a_hosted_stream_publishes_masks_to_redis(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await host(worker, ("w-red", clips / "red.mp4"))
        result = await tracked(reader, "w-red")
        assert [track.phrase for track in result.tracks] == ["the red square"]
        (status,) = (await worker.heartbeat()).statuses
        assert (status.state, status.width, status.height) == (SourceState.LIVE, 64, 48)
        assert status.tracked_fps > 0
        assert status.queries[0].prompt_to_mask_s is not None
        tracker = worker._hosted[StreamId("w-red")].session._tracker
        assert isinstance(tracker, ColourTracker) and tracker.committed > 0


async def test_the_whole_state_of_what_is_hosted_restarts_nothing(
    redis_server: RedisServer, clips: Path
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        desired = await host(worker, ("w-same", clips / "red.mp4"))
        await until(lambda: worker._hosted[StreamId("w-same")].source.status.frames > 5)
        before = worker._hosted[StreamId("w-same")]
        whole = desired.delta(0, 0)
        assert whole is not None
        await worker.apply(whole)
        assert worker._hosted[StreamId("w-same")] is before


async def test_a_delta_for_another_version_is_ignored_and_the_version_is_returned(
    redis_server: RedisServer, clips: Path
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        desired = await host(worker, ("w-version", clips / "red.mp4"))
        beat = await worker.apply(Delta(7, 8, removed_streams=(StreamId("w-version"),)))
        assert beat.version == desired.version(0)
        assert [status.stream_id for status in beat.statuses] == ["w-version"]


async def test_after_a_failed_delta_the_version_is_0_and_the_whole_state_repeats_it(
    redis_server: RedisServer, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        desired = await host(worker, ("w-first", clips / "red.mp4"))
        put(desired, "w-second", clips / "red.mp4")
        monkeypatch.setattr(worker, "_make_tracker", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await apply(worker, desired)
        assert (await worker.heartbeat()).version == 0
        monkeypatch.setattr(worker, "_make_tracker", ColourTracker)
        await apply(worker, desired)
        assert (await worker.heartbeat()).version == desired.version(0)
        assert list(await statuses(worker)) == ["w-first", "w-second"]


async def test_a_removed_stream_has_no_status_and_no_metrics(redis_server: RedisServer, clips: Path) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        desired = await host(worker, ("w-a", clips / "red.mp4"), ("w-b", clips / "red.mp4"))
        desired.remove_stream(StreamId("w-a"))
        await apply(worker, desired)
        assert list(await statuses(worker)) == ["w-b"]
        assert not any('stream="w-a"' in str(family.samples) for family in await worker.metrics())


async def test_a_file_that_is_no_video_fails_alone(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await host(worker, ("w-text", clips / "text.mp4"), ("w-good", clips / "red.mp4"))
        await tracked(reader, "w-good")
        status = (await statuses(worker))["w-text"]
        assert status.state is SourceState.FAILED
        assert "not a video" in status.reason
        errors = await reader.latest(StreamId("w-text"), Channel.ERRORS, 1)
        assert b"source_invalid" in errors[0].data


async def test_a_tracker_that_fails_on_a_frame_is_reset_and_the_stream_continues(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await host(worker, ("w-black", clips / "black.mp4"))
        deadline_s = time.monotonic() + 10
        while not await reader.latest(StreamId("w-black"), Channel.ERRORS, 1):
            assert time.monotonic() < deadline_s
            await asyncio.sleep(0.05)
        failed_at = (await frames(reader, "w-black", 1))[0].frame_index
        await until(lambda: worker._hosted[StreamId("w-black")].source.status.frames > failed_at + 40)
        while (await tracked(reader, "w-black")).frame_index <= failed_at:
            await asyncio.sleep(0.02)


async def test_a_tracker_that_cannot_be_reset_is_reset_until_it_can(
    redis_server: RedisServer, clips: Path, reader: ResultReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = iter([MemoryError("not now")])
    reset = ColourTracker.reset

    def failing_once(tracker: ColourTracker) -> None:
        for trouble in troubles:
            raise trouble
        reset(tracker)

    monkeypatch.setattr(ColourTracker, "reset", failing_once)
    monkeypatch.setattr("actors.hosted_stream._AFTER_FAILURE_S", 0.1)
    async with working(redis_server, clips, Grounding()) as worker:
        await host(worker, ("w-again", clips / "black.mp4"))
        while not await reader.latest(StreamId("w-again"), Channel.ERRORS, 1):
            await asyncio.sleep(0.05)
        failed_at = (await frames(reader, "w-again", 1))[0].frame_index
        while (await tracked(reader, "w-again")).frame_index <= failed_at:
            await asyncio.sleep(0.02)
    assert next(troubles, None) is None


async def test_without_a_grounder_results_are_published_and_masks_come_when_it_is_back(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    ground = Grounding()
    ground.is_away = True
    async with working(redis_server, clips, ground) as worker:
        await host(worker, ("w-late", clips / "red.mp4"))
        await until(lambda: worker._hosted[StreamId("w-late")].source.status.frames > 20)
        assert all(not result.tracks for result in await frames(reader, "w-late"))
        ground.is_away = False
        await tracked(reader, "w-late")
        errors = [
            json.loads(entry.data) for entry in await reader.latest(StreamId("w-late"), Channel.ERRORS, 100)
        ]
    assert [(error["code"], error["stream_id"]) for error in errors] == [("error", "w-late")], (
        "published once"
    )


async def test_partial_answers_are_published_and_then_the_answer(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    name, query_id = StreamId("w-words"), QueryId("q-words")
    async with working(redis_server, clips, Grounding()) as worker:
        desired = DesiredState(1)
        desired.put_stream(StreamSpec(name, str(clips / "red.mp4")))
        desired.put_query(Query(query_id, name, "is there something red?", QueryKind.ASK))
        await apply(worker, desired)
        session = worker._hosted[name].session
        await until(lambda: [status.answer for status in session.query_statuses()] == ["Sure, [SEG]."])
        while not await reader.latest(name, Channel.ANSWERS, 1):
            await asyncio.sleep(0.02)
        (first,) = await reader.latest(name, Channel.WORDS, 10)
        (whole,) = await reader.latest(name, Channel.ANSWERS, 10)
    partial, answer = wire.decode(PartialAnswerReport, first.data), wire.decode(AnswerReport, whole.data)
    assert (partial.query_id, partial.revision, partial.text) == (query_id, 1, "There is")
    assert (answer.query_id, answer.keyframe_index) == (query_id, partial.keyframe_index)


async def test_an_edited_query_keeps_its_track_id(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        desired = await host(worker, ("w-edit", clips / "red.mp4"))
        before = await tracked(reader, "w-edit")
        query = desired.query(QueryId("q-w-edit"))
        desired.put_query(replace(query, text="the red object", revision=2))
        await apply(worker, desired)
        session = worker._hosted[StreamId("w-edit")].session
        await until(lambda: session.query_statuses()[0].query.revision == 2)
        await until(lambda: session.query_statuses()[0].prompt_to_mask_s)
        frame_index = (await frames(reader, "w-edit", 1))[0].frame_index
        while (after := await tracked(reader, "w-edit")).frame_index <= frame_index:
            await asyncio.sleep(0.02)
        assert after.tracks[0].track_id == before.tracks[0].track_id
        assert (after.tracks[0].revision, after.tracks[0].state) == (2, TrackState.ACTIVE)


async def test_only_a_whip_stream_can_be_published_to(redis_server: RedisServer, clips: Path) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await host(worker, ("w-file", clips / "red.mp4"))
        with pytest.raises(Conflict, match="whip:"):
            await worker.whip_offer(StreamId("w-file"), "v=0")
        with pytest.raises(NotFound):
            await worker.whep_offer(StreamId("w-none"), "v=0")
        with pytest.raises(NotFound):
            await worker.whep_end(StreamId("w-file"), "no-such-session")


async def test_a_closed_worker_has_no_thread_left(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    import threading

    async with working(redis_server, clips, Grounding()) as worker:
        await host(worker, ("w-close", clips / "red.mp4"))
        await tracked(reader, "w-close")
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if "w-close" in name or name == "result-writer"]


async def test_a_stream_that_the_policy_refuses_fails_alone(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await host(worker, ("w-refused", "rtsp://127.0.0.1/x"), ("w-fine", clips / "red.mp4"))
        await tracked(reader, "w-fine")
        status = (await statuses(worker))["w-refused"]
        assert status.state is SourceState.FAILED
        assert "127.0.0.1" in status.reason


async def test_a_stream_whose_file_was_missing_is_hosted_when_it_is_there(
    redis_server: RedisServer, tmp_path: Path, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, tmp_path, Grounding()) as worker:
        await host(worker, ("w-missing", tmp_path / "red.mp4"))
        assert (await statuses(worker))["w-missing"].state is SourceState.FAILED
        shutil.copy(clips / "red.mp4", tmp_path / "red.mp4")
        await tracked(reader, "w-missing")


async def test_a_failure_while_a_missing_stream_is_opened_does_not_end_the_attempts(
    redis_server: RedisServer, tmp_path: Path, clips: Path, reader: ResultReader
) -> None:
    failures = [MemoryError("CUDA out of memory")]

    def make_tracker() -> ColourTracker:
        if failures:
            raise failures.pop()
        return ColourTracker()

    settings = Settings(media_dirs=[tmp_path], state_dir=tmp_path)
    worker = Worker(settings, redis_server.url, lambda: make_tracker, Grounding())
    try:
        await host(worker, ("w-opened-late", tmp_path / "red.mp4"))
        shutil.copy(clips / "red.mp4", tmp_path / "red.mp4")
        await tracked(reader, "w-opened-late")
        assert not failures
    finally:
        await worker.close()


async def test_a_heartbeat_has_the_timing_of_each_tracking_thread(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with working(redis_server, clips, Grounding()) as worker:
        await host(worker, ("w-steps", clips / "red.mp4"))
        await tracked(reader, "w-steps")
        timing = (await worker.heartbeat()).steps[StreamId("w-steps")]
        assert timing.expected_s is not None and 0 < timing.expected_s < 4


class OtherColours(ColourTracker):
    """A tracker of another checkpoint."""

    weights = "other colours"


@asynccontextmanager
async def again(
    redis: RedisServer, clips: Path, name: str, kind: type[ColourTracker] = ColourTracker
) -> AsyncIterator[tuple[Worker, DesiredState]]:
    """Host one stream, with the query of every call, in a worker of its own."""
    settings = Settings(media_dirs=[clips], state_dir=clips / "state")
    worker = Worker(settings, redis.url, lambda: kind, Grounding())
    try:
        yield worker, await host(worker, (name, clips / "red.mp4"))
    finally:
        await worker.close()


async def newer(reader: ResultReader, stream: str, than: FrameResult) -> FrameResult:
    """Return a result with a mask that was captured after another."""
    while (result := await tracked(reader, stream)).captured_s <= than.captured_s:
        await asyncio.sleep(0.02)
    return result


async def events(reader: ResultReader, stream: str) -> list[tuple[str, int]]:
    stored = await reader.latest(StreamId(stream), Channel.EVENTS, 100)
    decoded = [wire.decode(Event, entry.data) for entry in stored]
    return [(event.type.value, event.track_id) for event in decoded if event.type is not EventType.UPDATE]


async def test_another_worker_continues_a_stream_with_its_ids_and_frame_indices(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with again(redis_server, clips, "w-moved") as (worker, desired):
        first = await tracked(reader, "w-moved")
        desired.remove_query(QueryId("q-w-moved"))
        desired.put_query(Query(QueryId("q-second"), StreamId("w-moved"), "the red one"))
        await apply(worker, desired)
        while (before := await newer(reader, "w-moved", first)).tracks[0].track_id != 2:
            await asyncio.sleep(0.02)
        began = await events(reader, "w-moved")
    last = (await frames(reader, "w-moved", 1))[0]
    async with working(redis_server, clips, Grounding()) as worker:
        await apply(worker, desired)
        after = await newer(reader, "w-moved", last)
        (status,) = (await worker.heartbeat()).statuses
    assert [track.track_id for track in after.tracks] == [2]
    assert after.epoch == before.epoch > 0 and status.epoch == after.epoch
    indices = [result.frame_index for result in await frames(reader, "w-moved", 500)]
    assert indices == sorted(set(indices)), "none is used twice"
    assert await events(reader, "w-moved") == began == [("new", 1), ("end", 1), ("new", 2)]


async def test_a_snapshot_of_other_weights_is_refused_and_said(
    redis_server: RedisServer, clips: Path, reader: ResultReader, caplog: pytest.LogCaptureFixture
) -> None:
    async with again(redis_server, clips, "w-weights"):
        await tracked(reader, "w-weights")
    before = (await frames(reader, "w-weights", 1))[0]
    async with again(redis_server, clips, "w-weights", OtherColours) as (worker, _):
        after = await newer(reader, "w-weights", before)
        (status,) = (await worker.heartbeat()).statuses
        (error,) = await reader.latest(StreamId("w-weights"), Channel.ERRORS, 10)
    assert [track.track_id for track in after.tracks] == [2]
    assert after.epoch == before.epoch and after.frame_index > before.frame_index
    assert await events(reader, "w-weights") == [("new", 1), ("end", 1), ("new", 2)]
    assert "other weights" in status.tracks_lost
    assert json.loads(error.data)["code"] == "tracks_lost"
    assert any("other weights" in record.message for record in caplog.records)


async def test_without_a_snapshot_numbers_go_on_in_a_new_epoch(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    async with again(redis_server, clips, "w-lost"):
        await tracked(reader, "w-lost")
    before = (await frames(reader, "w-lost", 1))[0]
    SnapshotStore(clips / "state" / "snapshots").retain([])
    async with again(redis_server, clips, "w-lost"):
        after = await newer(reader, "w-lost", before)
    assert after.epoch > before.epoch and after.frame_index > before.frame_index
    assert [track.track_id for track in after.tracks] == [2]
    assert await events(reader, "w-lost") == [("new", 1), ("end", 1), ("new", 2)]


async def test_while_redis_is_away_a_stream_is_hosted_with_its_tracks(
    own_redis: RedisServer, clips: Path, reader: ResultReader
) -> None:
    store = SnapshotStore(clips / "state" / "snapshots")
    async with again(own_redis, clips, "w-away"):
        while (stored := store.load(StreamId("w-away"))) is None or stored.record.next_id == 1:
            await asyncio.sleep(0.05)
    own_redis.stop()
    async with again(own_redis, clips, "w-away") as (worker, _):
        hosted = worker._hosted[StreamId("w-away")]
        await until(lambda: hosted.status(time.monotonic()).frames > 3)
        assert [track.track_id for track in hosted.session._previous] == [1]
        assert hosted.status(0.0).epoch > stored.record.epoch, "what was published last is not known"


async def test_a_removed_stream_is_not_stored_any_more(
    redis_server: RedisServer, clips: Path, reader: ResultReader
) -> None:
    store = SnapshotStore(clips / "state" / "snapshots")
    async with again(redis_server, clips, "w-removed") as (worker, desired):
        await tracked(reader, "w-removed")
        await until(lambda: store.load(StreamId("w-removed")))
        desired.remove_stream(StreamId("w-removed"))
        await apply(worker, desired)
        store.retain([])
    assert store.load(StreamId("w-removed")) is None
