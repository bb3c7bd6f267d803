"""What a stream goes on from, read from a real Redis and real files."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors.redis_server import RedisServer
from actors.resumption_reader import ResumptionReader
from actors.snapshot_store import SnapshotStore
from streaming.events import Event, EventType
from streaming.moment import StoredMoment
from streaming.results.writer import ResultWriter
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId, TrackId
from tests.snapshots import RECORD, snapshot_of

NOWHERE = SecretStr("redis://127.0.0.1:1/0")


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots")


@pytest.fixture
async def reader(store: SnapshotStore, redis_server: RedisServer) -> AsyncIterator[ResumptionReader]:
    opened = ResumptionReader(store, redis_server.url)
    yield opened
    await opened.close()


def publish(redis_server: RedisServer, stream_id: StreamId) -> None:
    """Publish frame 240 in the snapshot's epoch, and the end of track 12."""
    writer = ResultWriter(redis_server.url, frames_maxlen=100, notes_maxlen=100)
    writer.publish(
        FrameResult(stream_id, 240, 0, 0, Clock.ARRIVAL, 0, 4, 4, 0, Latency(0, 0, 0), epoch=RECORD.epoch)
    )
    writer.publish_note(Event(EventType.END, stream_id, TrackId(12), None, None, time.time()))
    writer.close()


async def test_numbers_go_on_after_the_snapshot_and_the_results(
    reader: ResumptionReader, store: SnapshotStore, redis_server: RedisServer
) -> None:
    stream_id = StreamId("reader-both")
    store.save(stream_id, snapshot_of(b"memories", stream_id))
    publish(redis_server, stream_id)
    found = await reader.of(stream_id)
    assert (found.epoch, found.first_index, found.next_id) == (RECORD.epoch, 241, 13)


async def test_a_stream_that_was_never_hosted_begins_at_0(reader: ResumptionReader) -> None:
    found = await reader.of(StreamId("reader-new"))
    assert (found.first_index, found.next_id, found.tracker, found.problem) == (0, 1, None, "")


async def test_a_damaged_snapshot_is_a_problem_and_no_error(
    reader: ResumptionReader, store: SnapshotStore, redis_server: RedisServer, tmp_path: Path
) -> None:
    stream_id = StreamId("reader-damaged")
    store.save(stream_id, snapshot_of(b"memories", stream_id))
    for path in (tmp_path / "snapshots").iterdir():
        path.write_bytes(path.read_bytes()[:-3])
    publish(redis_server, stream_id)
    found = await reader.of(stream_id)
    assert "damaged" in found.problem and found.tracker is None
    assert (found.first_index, found.next_id) == (241, 13)
    assert found.epoch > RECORD.epoch


async def test_a_snapshot_that_cannot_be_read_is_a_problem_and_no_error(
    reader: ResumptionReader, tmp_path: Path
) -> None:
    (tmp_path / "snapshots" / "reader-folder.0").mkdir(parents=True)
    assert "cannot be read" in (await reader.of(StreamId("reader-folder"))).problem


async def test_without_redis_the_snapshot_alone_is_read(
    store: SnapshotStore, caplog: pytest.LogCaptureFixture
) -> None:
    stream_id = StreamId("reader-away")
    snapshot = snapshot_of(b"memories", stream_id)
    store.save(stream_id, replace(snapshot, record=replace(snapshot.record, saved=StoredMoment.now())))
    reader = ResumptionReader(store, NOWHERE)
    found = await reader.of(stream_id)
    await reader.close()
    assert found.tracker == b"memories"
    assert found.epoch > RECORD.epoch and found.first_index == RECORD.next_index
    assert "cannot be read" in caplog.text
