"""Order, batches and bounds of the grounder's queue."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from actors.keyframe_queue import (
    FORGET_S,
    MAX_BATCH_STREAMS,
    WINDOW_S,
    KeyframeQueue,
    Superseded,
    batch_streams,
    merge_by_stream,
    needs_text,
    split_keyframe,
)
from streaming.vocabulary import Clock, Frame, Keyframe, Query, QueryId, QueryKind, StreamId


def keyframe(stream: str, index: int, *queries: str, kind: QueryKind = QueryKind.REFER) -> Keyframe:
    stream_id = StreamId(stream)
    frame = Frame(stream_id, index, np.zeros((2, 2, 3), np.uint8), 0.0, 0.0, Clock.ARRIVAL)
    return Keyframe(frame, tuple(Query(QueryId(q), stream_id, q, kind) for q in queries), asked_s=0.0)


def text(stream: str, index: int, query: str) -> Keyframe:
    return keyframe(stream, index, query, kind=QueryKind.ASK)


def turn(queue: KeyframeQueue, now_s: float, most: int = 1) -> list[tuple[int, list[str]]]:
    return [
        (request.keyframe.frame.index, [str(query.query_id) for query in request.keyframe.queries])
        for request in queue.take(now_s, most)
    ]


def waiting(queue: KeyframeQueue, now_s: float = 100.0) -> list[tuple[int, list[str]]]:
    taken = []
    while batch := turn(queue, now_s):
        taken += batch
    return taken


def test_requests_are_served_in_the_order_they_were_put() -> None:
    queue = KeyframeQueue(4)
    for index, stream in enumerate("abc"):
        queue.put(keyframe(stream, index, f"q{stream}"), float(index))
    assert waiting(queue) == [(0, ["qa"]), (1, ["qb"]), (2, ["qc"])]


def test_a_newer_keyframe_of_a_query_replaces_the_older() -> None:
    queue = KeyframeQueue(4)
    old, _ = queue.put(keyframe("a", 0, "q"), 0.0)
    _, superseded = queue.put(keyframe("a", 5, "q"), 1.0)
    assert superseded == [Superseded(old, (QueryId("q"),))]
    assert waiting(queue) == [(5, ["q"])]


def test_a_query_asked_again_keeps_its_turn() -> None:
    queue = KeyframeQueue(4)
    queue.put(keyframe("a", 0, "q"), 0.0)
    queue.put(keyframe("b", 1, "q"), 1.0)
    queue.put(keyframe("a", 5, "q"), 2.0)
    assert waiting(queue) == [(5, ["q"]), (1, ["q"])]


def test_a_served_query_is_queued_at_the_end() -> None:
    queue = KeyframeQueue(4)
    queue.put(keyframe("a", 0, "q"), 0.0)
    queue.put(keyframe("b", 1, "q"), 1.0)
    assert turn(queue, 2.0) == [(0, ["q"])]
    queue.put(keyframe("a", 5, "q"), 3.0)
    assert waiting(queue) == [(1, ["q"]), (5, ["q"])]


def test_other_queries_of_a_replaced_keyframe_stay_queued() -> None:
    queue = KeyframeQueue(4)
    old, _ = queue.put(keyframe("a", 0, "q", "r"), 0.0)
    queue.put(keyframe("a", 5, "q"), 1.0)
    assert old in queue
    assert sorted(waiting(queue)) == [(0, ["r"]), (5, ["q"])]


def test_streams_do_not_supersede_each_other_below_capacity() -> None:
    queue = KeyframeQueue(2)
    queue.put(keyframe("a", 0, "q"), 0.0)
    _, superseded = queue.put(keyframe("b", 0, "q"), 0.0)
    assert superseded == []
    assert len(queue) == 2


def test_at_capacity_the_request_that_waited_shortest_is_superseded() -> None:
    queue = KeyframeQueue(2)
    queue.put(keyframe("a", 0, "qa"), 0.0)
    queue.put(keyframe("b", 1, "qb"), 1.0)
    newest, superseded = queue.put(keyframe("c", 2, "qc"), 2.0)
    assert superseded == [Superseded(newest, (QueryId("qc"),))]
    assert waiting(queue) == [(0, ["qa"]), (1, ["qb"])]


def test_waiting_time_of_a_superseded_query_counts_when_it_is_asked_again() -> None:
    queue = KeyframeQueue(2)
    for index, stream in enumerate("abc"):
        queue.put(keyframe(stream, index, "q"), float(index))
    assert waiting(queue) == [(0, ["q"]), (1, ["q"])]
    queue.put(keyframe("a", 7, "q"), 3.0)
    queue.put(keyframe("b", 8, "q"), 3.0)
    _, superseded = queue.put(keyframe("c", 9, "q"), 4.0)
    assert superseded[0].query_ids == ("q",)
    assert waiting(queue) == [(9, ["q"]), (7, ["q"])]


def test_waiting_time_is_forgotten_after_forget_s_without_a_question() -> None:
    queue = KeyframeQueue(1)
    queue.put(keyframe("a", 0, "q"), 0.0)
    queue.put(keyframe("b", 1, "q"), 1.0)
    waiting(queue)
    queue.put(keyframe("c", 2, "q"), 2.0 + FORGET_S)
    _, superseded = queue.put(keyframe("b", 3, "q"), 2.5 + FORGET_S)
    assert waiting(queue) == [(2, ["q"])]
    assert len(superseded) == 1


def test_a_request_that_is_partly_replaced_and_then_superseded_is_reported_once() -> None:
    queue = KeyframeQueue(2)
    queue.put(keyframe("b", 1, "qb"), 0.0)
    young, _ = queue.put(keyframe("a", 0, "q", "r"), 1.0)
    queue._asked_s[(StreamId("a"), QueryId("q"))] = (0.5, 1.0)
    _, superseded = queue.put(keyframe("a", 2, "q"), 2.0)
    assert superseded == [Superseded(young, (QueryId("q"), QueryId("r")))]
    assert waiting(queue) == [(1, ["qb"]), (2, ["q"])]


def test_the_first_request_waits_window_s_for_others() -> None:
    queue = KeyframeQueue(4)
    assert queue.ready_s() is None
    queue.put(keyframe("a", 0, "q"), 1.0)
    queue.put(keyframe("b", 1, "q"), 1.0 + WINDOW_S / 2)
    assert queue.ready_s() == 1.0 + WINDOW_S
    assert turn(queue, 1.0 + WINDOW_S / 2, most=8) == []
    assert turn(queue, 1.0 + WINDOW_S, most=8) == [(0, ["q"]), (1, ["q"])]


def test_requests_for_masks_are_batched_and_requests_for_text_are_alone() -> None:
    queue = KeyframeQueue(8)
    for index, stream in enumerate("abc"):
        queue.put(keyframe(stream, index, "q"), 0.0)
    queue.put(text("a", 3, "how many?"), 0.0)
    queue.put(text("b", 4, "how many?"), 0.0)
    assert turn(queue, 1.0, most=2) == [(0, ["q"]), (1, ["q"])]
    assert turn(queue, 1.0, most=2) == [(2, ["q"])]
    assert turn(queue, 1.0, most=2) == [(3, ["how many?"])]
    assert turn(queue, 1.0, most=2) == [(4, ["how many?"])]


def test_a_batch_has_all_requests_for_masks_of_its_streams() -> None:
    queue = KeyframeQueue(8)
    for index, (stream, query) in enumerate([("a", "q"), ("b", "q"), ("a", "r"), ("c", "q")]):
        queue.put(keyframe(stream, index, query), 0.0)
    assert turn(queue, 1.0, most=2) == [(0, ["q"]), (1, ["q"]), (2, ["r"])]
    assert turn(queue, 1.0, most=2) == [(3, ["q"])]


def test_keyframes_of_a_stream_are_merged_on_its_newest_frame() -> None:
    asked = [keyframe("a", 4, "q", "s"), keyframe("b", 9, "q"), keyframe("a", 2, "r")]
    shown = merge_by_stream(asked)
    assert [merged.frame for merged in shown] == [asked[0].frame, asked[1].frame]
    assert [[query.query_id for query in merged.queries] for merged in shown] == [["q", "s", "r"], ["q"]]


def test_the_newest_frame_of_a_restarted_stream_is_the_last_asked() -> None:
    before, now = (
        replace(keyframe("a", 5000, "q"), asked_s=10.0),
        replace(keyframe("a", 3, "r"), asked_s=20.0),
    )
    assert [merged.frame for merged in merge_by_stream([before, now])] == [now.frame]


def test_masks_are_served_between_two_requests_for_text() -> None:
    queue = KeyframeQueue(8)
    for index, stream in enumerate("ab"):
        queue.put(text(stream, index, "how many?"), 0.0)
    queue.put(keyframe("c", 2, "q"), 5.0)
    assert [turn(queue, 9.0) for _ in range(3)] == [[(0, ["how many?"])], [(2, ["q"])], [(1, ["how many?"])]]


def test_a_request_reports_how_long_its_keyframe_waited() -> None:
    queue = KeyframeQueue(2)
    queue.put(keyframe("a", 0, "q"), 1.0)
    queue.put(keyframe("a", 1, "q"), 3.0)
    (taken,) = queue.take(7.0, 1)
    assert taken.waited_s == 4.0, "of this keyframe"


def test_requests_put_before_a_time_expire() -> None:
    queue = KeyframeQueue(4)
    old, _ = queue.put(keyframe("a", 0, "q"), 1.0)
    queue.put(keyframe("b", 1, "q"), 3.0)
    assert queue.expire(2.0) == [Superseded(old, (QueryId("q"),))]
    assert waiting(queue) == [(1, ["q"])]


def test_a_keyframe_is_split_into_one_for_masks_and_one_per_text() -> None:
    mixed = keyframe("a", 0, "q", "r")
    asked = Query(QueryId("how"), StreamId("a"), "how many?", QueryKind.ASK)
    described = Query(QueryId("all"), StreamId("a"), "all", QueryKind.DESCRIBE)
    whole = Keyframe(mixed.frame, (asked, *mixed.queries, described), 0.0)
    parts = split_keyframe(whole)
    assert [[query.query_id for query in part.queries] for part in parts] == [["q", "r"], ["how"], ["all"]]
    assert [needs_text(part) for part in parts] == [False, True, True]
    assert all(part.frame is mixed.frame for part in parts)


@pytest.mark.parametrize(
    ("stream_s", "most"), [(0.0, MAX_BATCH_STREAMS), (0.01, MAX_BATCH_STREAMS), (0.1, 5), (0.3, 1), (20.0, 1)]
)
def test_slow_models_have_smaller_batches(stream_s: float, most: int) -> None:
    assert batch_streams(stream_s) == most


@pytest.mark.parametrize("capacity", [32, 3])
@pytest.mark.parametrize("work_s", [0.05, 0.4, 3.0])
def test_no_query_waits_too_long_when_more_is_asked_than_can_be_answered(
    capacity: int, work_s: float
) -> None:
    """Ten queries on four streams, some asked ten times as often as others."""
    asking = [(f"s{number % 4}", f"q{number}", 0.2 if number % 2 else 2.0) for number in range(9)]
    due_s = dict.fromkeys(range(10), 0.0)
    queue, served, longest_s, last_s, now_s = KeyframeQueue(capacity), Counter(), 0.0, {}, 0.0
    free_s = 0.0
    while now_s < max(20.0, 120 * work_s):
        for number, (stream, query, every_s) in enumerate(asking):
            if due_s[number] <= now_s:
                queue.put(keyframe(stream, number, query), now_s)
                due_s[number] = now_s + every_s
        if due_s[9] <= now_s:
            queue.put(text("s0", 9, "how many?"), now_s)
            due_s[9] = now_s + 2.0
        if free_s <= now_s and (taken := queue.take(now_s, batch_streams(work_s))):
            for request in taken:
                number = request.keyframe.frame.index
                served[number] += 1
                longest_s = max(longest_s, now_s - last_s.get(number, 0.0))
                last_s[number] = now_s
            free_s = now_s + work_s * (4 if taken[0].keyframe.queries[0].kind is QueryKind.ASK else 1)
        now_s += 0.05
    assert served.keys() == set(range(10))
    # A superseded query is queued when it is asked again, as it has waited longest then.
    assert longest_s <= 2 * 2.0 + 30 * work_s
