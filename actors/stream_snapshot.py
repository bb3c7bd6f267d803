"""What is kept of a hosted stream outside its process, and its bytes. Pure.

The bytes are a fixed head (magic and version, checksum, sequence number, sizes), a JSON record, and what
the tracker's snapshot serialises. The record can be read whatever weights the tracker has: numbers that were
given are not given again, even where the tracks cannot be restored. There is no pickle.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from actors.query_ledger import LedgerRecord
from engines.protocols import Snapshot
from streaming.errors import InvalidMessage
from streaming.moment import StoredMoment
from streaming.vocabulary import StreamId

MAGIC: Final = b"saccade.snapshot/1\n\0"
_HEAD: Final = struct.Struct("<20sIQQQ")
"Magic, CRC-32 of everything after it, sequence number, sizes of the record and of the tracker's bytes."
_CHECKED_FROM: Final = 24
MAX_TRACKER_BYTES: Final = 128 << 20
"Twice what 16 objects of SAM 2.1 at 1024 px take; a larger state is not stored, only its numbers."

Chunks = Sequence[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """The part of a snapshot that any process can read."""

    stream_id: StreamId
    epoch: int
    next_index: int
    "The frame index after the last frame of the snapshot."
    next_id: int
    "The next new track's id."
    saved: StoredMoment
    queries: tuple[LedgerRecord, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class StreamSnapshot:
    """A stream at one moment, not serialised yet. Nothing in it ever changes."""

    record: StreamRecord
    tracker: Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class StoredSnapshot:
    """A stream at one moment, as read back."""

    record: StreamRecord
    tracker: bytes
    "See `engines.protocols.Tracker.restore`; empty: it was not stored."


_RECORD: Final = TypeAdapter(StreamRecord)


def encode(snapshot: StreamSnapshot, sequence: int) -> Chunks:
    """Serialise in consecutive parts, without copying memories; without the tracker if it is too large."""
    record = _RECORD.dump_json(snapshot.record)
    tracker = snapshot.tracker.to_chunks() if snapshot.tracker.nbytes <= MAX_TRACKER_BYTES else []
    sizes = struct.pack("<QQQ", sequence, len(record), sum(map(len, tracker)))
    checksum = zlib.crc32(record, zlib.crc32(sizes))
    for chunk in tracker:
        checksum = zlib.crc32(chunk, checksum)
    return [MAGIC + struct.pack("<I", checksum) + sizes, record, *tracker]


def sequence_of(data: bytes) -> int:
    """Return the sequence number in the head of serialised bytes; -1 where they have no such head."""
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        return -1
    sequence: int = _HEAD.unpack_from(data)[2]
    return sequence


def decode(data: bytes) -> StoredSnapshot:
    """Parse joined chunks; what follows them is ignored.

    Raises InvalidMessage for another version and for bytes that are damaged.
    """
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        raise InvalidMessage("The snapshot is of another version of the service, or none.")
    _, checksum, _, record_size, tracker_size = _HEAD.unpack_from(data)
    end = _HEAD.size + record_size + tracker_size
    if len(data) < end or zlib.crc32(memoryview(data)[_CHECKED_FROM:end]) != checksum:
        raise InvalidMessage("The snapshot is damaged: its checksum is another one.")
    try:
        record = _RECORD.validate_json(data[_HEAD.size : _HEAD.size + record_size])
    except ValidationError as exc:
        raise InvalidMessage(f"The snapshot's record is wrong: {exc.errors()[0]['msg']}.") from exc
    return StoredSnapshot(record, data[_HEAD.size + record_size : end])
