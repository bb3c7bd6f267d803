"""The outbox is bounded, ordered, and counts losses by stream."""

from __future__ import annotations

import threading
from dataclasses import replace

from streaming import wire
from streaming.results.outbox import Outbox, Pending, PendingFrame
from streaming.vocabulary import FrameResult, StreamId
from tests.redis_entries import frame

GATE, YARD = StreamId("gate"), StreamId("yard")


def entry(stream_id: StreamId, number: int) -> Pending:
    return Pending(stream_id, f"key:{stream_id}", 100, str(number).encode())


def test_a_full_outbox_loses_the_oldest_entry_and_counts_it() -> None:
    box = Outbox(3)
    assert [box.put(entry(GATE, number)) for number in range(3)] == [True] * 3
    assert not box.put(entry(YARD, 3))
    assert (box.lost(GATE), box.lost(YARD)) == (1, 0)
    assert [each.content for each in box.take(10)] == [b"1", b"2", b"3"]


def test_take_returns_at_most_limit_entries() -> None:
    box = Outbox(10)
    for number in range(5):
        box.put(entry(GATE, number))
    assert [each.content for each in box.take(2)] == [b"0", b"1"]
    assert len(box.take(10)) == 3


def test_take_waits_for_an_entry_or_for_close() -> None:
    box = Outbox(3)
    taken: list[list[Pending]] = []
    thread = threading.Thread(target=lambda: taken.extend([box.take(5), box.take(5)]))
    thread.start()
    box.put(entry(GATE, 1))
    box.close()
    thread.join(5)
    assert [len(batch) for batch in taken] in ([1, 0],)


def test_an_entry_put_after_close_is_counted_as_lost() -> None:
    box = Outbox(3)
    box.close()
    assert not box.put(entry(GATE, 1))
    assert box.lost(GATE) == 1
    assert box.take(5) == []


def test_forget_resets_the_counter_of_a_stream() -> None:
    box = Outbox(3)
    box.count_lost(GATE)
    box.forget(GATE)
    assert box.lost(GATE) == 0


def test_on_published_gets_the_result_with_its_times_of_publication() -> None:
    published: list[FrameResult] = []
    result = frame(GATE, 3)
    PendingFrame(result, wire.encode_parts(result), published.append).published(7.5, 6.5)
    assert published == [replace(result, published_s=7.5, latency_s=replace(result.latency_s, total=6.5))]
    PendingFrame(result, wire.encode_parts(result)).published(7.5, 6.5)
