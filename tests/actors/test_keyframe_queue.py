"""The grounder's waiting room."""

import numpy as np

from actors.keyframe_queue import KeyframeQueue, Superseded
from streaming.vocabulary import Clock, Frame, Keyframe, Query, QueryId, StreamId


def keyframe(stream: str, index: int, *queries: str) -> Keyframe:
    stream_id = StreamId(stream)
    frame = Frame(stream_id, index, np.zeros((2, 2, 3), np.uint8), 0.0, 0.0, Clock.ARRIVAL)
    return Keyframe(frame, tuple(Query(QueryId(q), stream_id, q) for q in queries), asked_s=0.0)


def waiting(queue: KeyframeQueue) -> list[tuple[int, list[str]]]:
    taken = []
    while (item := queue.take()) is not None:
        taken.append((item[1].frame.index, [str(query.query_id) for query in item[1].queries]))
    return taken


def test_keyframes_are_served_in_the_order_they_came() -> None:
    queue = KeyframeQueue(4)
    for index, stream in enumerate("abc"):
        queue.put(keyframe(stream, index, f"q{stream}"))
    assert waiting(queue) == [(0, ["qa"]), (1, ["qb"]), (2, ["qc"])]


def test_a_newer_keyframe_of_a_query_takes_the_place_of_the_older() -> None:
    queue = KeyframeQueue(4)
    old, _ = queue.put(keyframe("a", 0, "q"))
    _, pushed_out = queue.put(keyframe("a", 5, "q"))
    assert pushed_out == [Superseded(old, (QueryId("q"),))]
    assert waiting(queue) == [(5, ["q"])]


def test_other_queries_of_the_older_keyframe_keep_their_place() -> None:
    queue = KeyframeQueue(4)
    old, _ = queue.put(keyframe("a", 0, "q", "r"))
    queue.put(keyframe("a", 5, "q"))
    assert queue.waits(old)
    assert waiting(queue) == [(0, ["r"]), (5, ["q"])]


def test_streams_do_not_push_each_other_out_while_there_is_room() -> None:
    queue = KeyframeQueue(2)
    queue.put(keyframe("a", 0, "q"))
    _, pushed_out = queue.put(keyframe("b", 0, "q"))
    assert pushed_out == []
    assert len(queue) == 2


def test_a_full_queue_gives_up_its_oldest() -> None:
    queue = KeyframeQueue(2)
    oldest, _ = queue.put(keyframe("a", 0, "qa"))
    queue.put(keyframe("b", 1, "qb"))
    _, pushed_out = queue.put(keyframe("c", 2, "qc"))
    assert pushed_out == [Superseded(oldest, (QueryId("qa"),))]
    assert waiting(queue) == [(1, ["qb"]), (2, ["qc"])]


def test_a_keyframe_that_loses_a_query_and_then_its_place_is_given_up_once() -> None:
    queue = KeyframeQueue(2)
    oldest, _ = queue.put(keyframe("a", 0, "q", "r"))
    queue.put(keyframe("b", 1, "qb"))
    _, pushed_out = queue.put(keyframe("a", 2, "q"))
    assert pushed_out == [Superseded(oldest, (QueryId("q"), QueryId("r")))]
    assert waiting(queue) == [(1, ["qb"]), (2, ["q"])]
