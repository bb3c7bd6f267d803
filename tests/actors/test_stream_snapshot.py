"""The bytes of a snapshot: what is written is read back, anything else is refused."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass

import pytest

from actors.stream_snapshot import MAGIC, MAX_TRACKER_BYTES, StreamSnapshot, decode, encode, sequence_of
from streaming.errors import InvalidMessage
from tests.doubles import ColourSnapshot
from tests.snapshots import RECORD, snapshot_of, stored


def test_what_is_written_is_read_back() -> None:
    read = decode(stored(snapshot_of()))
    assert read.record == RECORD
    assert read.tracker == b"0123456789 memories"


def test_bytes_after_the_end_are_those_of_a_longer_snapshot_before() -> None:
    assert decode(stored(snapshot_of()) + b"older bytes").tracker == b"0123456789 memories"


def test_the_sequence_number_is_read_from_the_head() -> None:
    data = stored(snapshot_of(), sequence=77)
    assert sequence_of(data[:64]) == 77
    assert [sequence_of(other) for other in (b"", b"x" * 64, data[:20])] == [-1, -1, -1]


@pytest.mark.parametrize("place", range(0, len(stored(snapshot_of())), 7))
def test_a_changed_byte_anywhere_is_found(place: int) -> None:
    data = bytearray(stored(snapshot_of()))
    data[place] ^= 0x10
    with pytest.raises(InvalidMessage, match=r"damaged|another version"):
        decode(bytes(data))


@pytest.mark.parametrize("size", [0, 10, 40, 60, len(stored(snapshot_of())) - 1])
def test_a_part_is_refused(size: int) -> None:
    with pytest.raises(InvalidMessage):
        decode(stored(snapshot_of())[:size])


def test_another_version_is_refused_and_named_so() -> None:
    with pytest.raises(InvalidMessage, match="another version"):
        decode(stored(snapshot_of()).replace(b"snapshot/1", b"snapshot/9"))
    with pytest.raises(InvalidMessage, match="another version"):
        decode(b"\x80\x04pickled?" * 20)


def test_a_record_with_a_wrong_field_is_refused() -> None:
    record = json.dumps({"stream_id": "s", "epoch": "many"}).encode()
    sizes = struct.pack("<QQQ", 1, len(record), 0)
    checksum = zlib.crc32(record, zlib.crc32(sizes))
    with pytest.raises(InvalidMessage, match="record is wrong"):
        decode(MAGIC + struct.pack("<I", checksum) + sizes + record)


def test_the_trackers_bytes_are_not_copied() -> None:
    chunk = memoryview(b"memories")

    @dataclass
    class Whole:
        next_id = 1
        nbytes = 8

        def to_chunks(self) -> list[memoryview]:
            return [chunk]

    assert any(part is chunk for part in encode(StreamSnapshot(RECORD, Whole()), 1))


def test_of_a_tracker_that_is_too_large_the_numbers_are_stored() -> None:
    @dataclass(frozen=True)
    class Large(ColourSnapshot):
        @property
        def nbytes(self) -> int:
            return MAX_TRACKER_BYTES + 1

    read = decode(stored(StreamSnapshot(RECORD, Large(5, b"too much"))))
    assert (read.record, read.tracker) == (RECORD, b"")
