"""Files of snapshots: whole at any moment, private, removed with their stream."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from actors.snapshot_store import SnapshotStore, snapshot_folder
from streaming.errors import InvalidMessage
from streaming.settings import Settings
from streaming.vocabulary import StreamId
from tests.doubles import ColourSnapshot
from tests.snapshots import S, snapshot_of, stored


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots")


def save(store: SnapshotStore, *states: bytes, stream_id: StreamId = S) -> None:
    for state in states:
        store.save(stream_id, snapshot_of(state, stream_id))


def loaded(store: SnapshotStore, stream_id: StreamId = S) -> bytes:
    snapshot = store.load(stream_id)
    assert snapshot is not None
    return snapshot.tracker


def newest_file(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: path.read_bytes().count(b"newest"))


def test_the_newest_snapshot_is_loaded(store: SnapshotStore) -> None:
    assert store.load(S) is None
    for state in (b"first" * 9, b"second", b"third" * 30, b"4"):
        save(store, state)
        assert loaded(store) == state


def test_another_process_continues_the_sequence(store: SnapshotStore, tmp_path: Path) -> None:
    save(store, b"a", b"b", b"c")
    other = SnapshotStore(tmp_path / "snapshots")
    save(other, b"d")
    assert loaded(store) == loaded(other) == b"d"


@pytest.mark.parametrize("written", [0, 30, 100, 400])
def test_a_write_that_was_killed_leaves_the_snapshot_before(
    store: SnapshotStore, tmp_path: Path, written: int
) -> None:
    """The older file is being overwritten; `written` bytes of the new snapshot are there."""
    save(store, b"1" * 900, b"older" * 100, b"newest" * 100)
    path = newest_file(tmp_path / "snapshots")
    before = path.read_bytes()
    path.write_bytes(stored(snapshot_of(b"next" * 100), 4)[:written] + before[written:])
    state = loaded(store)
    assert state == (b"newest" * 100 if written == 0 else b"older" * 100)
    save(SnapshotStore(tmp_path / "snapshots"), b"after")
    assert loaded(store) == b"after"


def test_damage_of_both_files_is_said(store: SnapshotStore, tmp_path: Path) -> None:
    save(store, b"a", b"b")
    for path in (tmp_path / "snapshots").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(InvalidMessage, match="damaged"):
        store.load(S)


def test_a_snapshot_of_another_stream_is_refused(store: SnapshotStore, tmp_path: Path) -> None:
    save(store, b"a")
    folder = tmp_path / "snapshots"
    (path,) = folder.iterdir()
    path.rename(folder / path.name.replace("s.", "other."))
    with pytest.raises(InvalidMessage, match="of stream s"):
        store.load(StreamId("other"))


def test_only_the_user_can_read_them(store: SnapshotStore, tmp_path: Path) -> None:
    save(store, b"a")
    folder = tmp_path / "snapshots"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()] == [0o600]


def test_a_link_is_not_followed(store: SnapshotStore, tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "target").write_text("keep")
    for number in (0, 1):
        (tmp_path / "snapshots" / f"s.{number}").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic"):
        save(store, b"a")
    assert (tmp_path / "target").read_text() == "keep"


def test_streams_have_two_files_each_and_no_other(store: SnapshotStore, tmp_path: Path) -> None:
    for stream_id in (S, StreamId("s.0"), StreamId("-.x")):
        save(store, *[b"state"] * 5, stream_id=stream_id)
    assert len(list((tmp_path / "snapshots").iterdir())) == 6


def test_snapshots_of_other_streams_are_removed(store: SnapshotStore, tmp_path: Path) -> None:
    other = StreamId("s.0")
    for stream_id in (S, other):
        save(store, b"a", b"b", stream_id=stream_id)
    (tmp_path / "snapshots" / "notes.txt").write_text("not ours")
    store.retain([other])
    assert store.load(S) is None and loaded(store, other) == b"b"
    store.retain([])
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == ["notes.txt"]


def test_a_file_is_no_longer_than_its_snapshot(store: SnapshotStore, tmp_path: Path) -> None:
    save(store, b"large" * 1000, b"large" * 1000, b"small", b"small")
    assert max(path.stat().st_size for path in (tmp_path / "snapshots").iterdir()) < 1000


def test_without_a_folder_there_is_nothing_to_remove(store: SnapshotStore) -> None:
    store.retain([])
    assert store.load(S) is None


def test_a_snapshot_of_many_parts_is_written_whole(store: SnapshotStore) -> None:
    class Parts(ColourSnapshot):
        def to_chunks(self) -> list[bytes]:
            return [bytes([number % 251]) * number for number in range(2000)]

    snapshot = snapshot_of()
    parts = Parts(5, b"")
    store.save(S, type(snapshot)(snapshot.record, parts))
    assert loaded(store) == b"".join(parts.to_chunks())


def test_the_folder_is_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert snapshot_folder(Settings()) == tmp_path / ".state" / "snapshots"
