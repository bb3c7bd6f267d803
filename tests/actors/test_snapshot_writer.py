"""The thread that stores snapshots: nobody waits for it, and the newest of each stream wins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.snapshot_store import SnapshotStore
from actors.snapshot_writer import CORE_SHARE, INTERVAL_S, SnapshotWriter
from actors.stream_snapshot import StreamSnapshot
from streaming.vocabulary import StreamId
from tests.snapshots import S, snapshot_of


class SlowStore(SnapshotStore):
    """A store whose writes wait until the test lets them go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.may_write = threading.Event(), threading.Event()
        self.written: list[bytes] = []

    def save(self, stream_id: StreamId, snapshot: StreamSnapshot) -> None:
        self.begun.set()
        self.may_write.wait(10)
        self.written.append(b"".join(snapshot.tracker.to_chunks()))
        super().save(stream_id, snapshot)


@pytest.fixture
def store(tmp_path: Path) -> SlowStore:
    return SlowStore(tmp_path / "snapshots")


@pytest.fixture
def writer(store: SlowStore) -> Iterator[SnapshotWriter]:
    opened = SnapshotWriter(store)
    yield opened
    store.may_write.set()
    opened.close(10)


def test_a_newer_snapshot_replaces_the_waiting_one(writer: SnapshotWriter, store: SlowStore) -> None:
    writer.put(snapshot_of(b"first"))
    assert store.begun.wait(10)
    for state in (b"second", b"third"):
        writer.put(snapshot_of(state))
    writer.put(snapshot_of(b"of another", StreamId("other")))
    store.may_write.set()
    writer.close(10)
    assert store.written == [b"first", b"third", b"of another"]


def test_after_forget_nothing_is_written(writer: SnapshotWriter, store: SlowStore) -> None:
    writer.put(snapshot_of(b"under way"))
    assert store.begun.wait(10)
    writer.put(snapshot_of(b"waiting"))
    threading.Timer(0.05, store.may_write.set).start()
    writer.forget(S)
    assert store.written == [b"under way"], "forget waits for it, so that its files can be removed"
    writer.close(10)
    assert store.written == [b"under way"]


def test_a_snapshot_after_close_is_dropped(writer: SnapshotWriter, store: SlowStore) -> None:
    store.may_write.set()
    writer.close(10)
    writer.put(snapshot_of())
    assert not writer._waiting and not writer._thread.is_alive()


def test_a_store_that_fails_fails_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    writer = SnapshotWriter(SnapshotStore(tmp_path / "taken"))
    for _ in range(3):
        writer.put(snapshot_of())
    writer.close(10)
    assert not writer._thread.is_alive()
    assert [record.levelname for record in caplog.records] == ["WARNING"], "said once"
    assert "not stored" in caplog.text


def test_snapshots_take_two_percent_of_a_core_at_most(writer: SnapshotWriter, store: SlowStore) -> None:
    assert writer.interval_s(S) == INTERVAL_S
    store.may_write.set()
    writer.put(snapshot_of())
    writer.close(10)
    assert writer.interval_s(S) == INTERVAL_S, "a small one takes less than that"
    writer._costs_s[S] = 0.5
    assert writer.interval_s(S) == 0.5 / CORE_SHARE
