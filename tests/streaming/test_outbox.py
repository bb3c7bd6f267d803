"""Waiting entries are few, counted, and named in order."""

from __future__ import annotations

import threading

from streaming.outbox import BEFORE_ALL, EntryId, Outbox, Pending, entry_id_after
from streaming.vocabulary import StreamId

GATE, YARD = StreamId("gate"), StreamId("yard")


def entry(stream_id: StreamId, number: int) -> Pending:
    return Pending(stream_id, f"key:{stream_id}", 100, str(number).encode())


def test_ids_grow_with_the_clock() -> None:
    first = entry_id_after(BEFORE_ALL, now_s=100.0)
    assert first == EntryId(100_000, 0)
    assert entry_id_after(first, now_s=100.001) == EntryId(100_001, 0)


def test_ids_grow_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    last = EntryId(100_000, 7)
    assert entry_id_after(last, now_s=100.0) == EntryId(100_000, 8)
    assert entry_id_after(last, now_s=1.0) == EntryId(100_000, 8)


def test_an_id_reads_as_redis_writes_it() -> None:
    assert str(EntryId(5, 2)) == "5-2"
    assert EntryId.parse("5-2") == EntryId(5, 2)
    assert EntryId(9, 10) > EntryId(9, 9) > EntryId(8, 100)


def test_a_full_outbox_loses_the_oldest_and_counts_it() -> None:
    box = Outbox(3)
    assert [box.put(entry(GATE, number)) for number in range(3)] == [True] * 3
    assert not box.put(entry(YARD, 3))
    assert (box.lost(GATE), box.lost(YARD)) == (1, 0)
    assert [one.data for one in box.take(10)] == [b"1", b"2", b"3"]


def test_no_more_is_taken_than_asked() -> None:
    box = Outbox(10)
    for number in range(5):
        box.put(entry(GATE, number))
    assert [one.data for one in box.take(2)] == [b"0", b"1"]
    assert len(box.take(10)) == 3


def test_who_takes_waits_for_an_entry_or_the_end() -> None:
    box = Outbox(3)
    taken: list[list[Pending]] = []
    thread = threading.Thread(target=lambda: taken.extend([box.take(5), box.take(5)]))
    thread.start()
    box.put(entry(GATE, 1))
    box.close()
    thread.join(5)
    assert [len(batch) for batch in taken] in ([1, 0],)


def test_a_closed_outbox_counts_what_still_comes_as_lost() -> None:
    box = Outbox(3)
    box.close()
    assert not box.put(entry(GATE, 1))
    assert box.lost(GATE) == 1
    assert box.take(5) == []


def test_a_stream_that_was_forgotten_counts_from_nothing() -> None:
    box = Outbox(3)
    box.count_written(GATE)
    box.count_lost(GATE)
    box.forget(GATE)
    assert (box.written(GATE), box.lost(GATE)) == (0, 0)
