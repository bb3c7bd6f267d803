"""Snapshots of a stream for tests."""

from __future__ import annotations

from dataclasses import replace

from actors.query_ledger import LedgerRecord
from actors.stream_snapshot import StreamRecord, StreamSnapshot, encode
from streaming.moment import StoredMoment
from streaming.status import QueryState, QueryStatus
from streaming.vocabulary import Query, QueryId, StreamId
from tests.doubles import ColourSnapshot

S = StreamId("s")
QUERY = Query(QueryId("q"), S, "the „red“ one", revision=2, accepted_s=12.25, region=(0.0, 0.5, 1.0, 1.0))
RECORD = StreamRecord(
    S,
    epoch=1_700_000_000_000,
    next_index=101,
    next_id=5,
    saved=StoredMoment(1000.0, 50.0, "boot"),
    queries=(LedgerRecord(QueryStatus(QUERY, QueryState.FOLLOWING, "Sure.", 0.5, 0.25), True, 0.1, "Sure."),),
)


def snapshot_of(data: bytes = b"0123456789 memories", stream_id: StreamId = S) -> StreamSnapshot:
    return StreamSnapshot(replace(RECORD, stream_id=stream_id), ColourSnapshot(5, data))


def stored(snapshot: StreamSnapshot, sequence: int = 1) -> bytes:
    return b"".join(encode(snapshot, sequence))
