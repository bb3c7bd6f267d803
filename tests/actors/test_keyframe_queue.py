"""The grounder's waiting room."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from actors.keyframe_queue import (
    FORGET_S,
    MOST_TOGETHER,
    WINDOW_S,
    KeyframeQueue,
    Superseded,
    apart,
    looks,
    most_together,
    wants_words,
)
from streaming.vocabulary import Clock, Frame, Keyframe, Query, QueryId, QueryKind, StreamId


def keyframe(stream: str, index: int, *queries: str, kind: QueryKind = QueryKind.REFER) -> Keyframe:
    stream_id = StreamId(stream)
    frame = Frame(stream_id, index, np.zeros((2, 2, 3), np.uint8), 0.0, 0.0, Clock.ARRIVAL)
    return Keyframe(frame, tuple(Query(QueryId(q), stream_id, q, kind) for q in queries), asked_s=0.0)


def words(stream: str, index: int, query: str) -> Keyframe:
    return keyframe(stream, index, query, kind=QueryKind.ASK)


def turn(queue: KeyframeQueue, now_s: float, most: int = 1) -> list[tuple[int, list[str]]]:
    return [
        (one.keyframe.frame.index, [str(query.query_id) for query in one.keyframe.queries])
        for one in queue.take(now_s, most)
    ]


def waiting(queue: KeyframeQueue, now_s: float = 100.0) -> list[tuple[int, list[str]]]:
    taken = []
    while some := turn(queue, now_s):
        taken += some
    return taken


def test_keyframes_are_served_in_the_order_they_came() -> None:
    queue = KeyframeQueue(4)
    for index, stream in enumerate("abc"):
        queue.put(keyframe(stream, index, f"q{stream}"), float(index))
    assert waiting(queue) == [(0, ["qa"]), (1, ["qb"]), (2, ["qc"])]


def test_a_newer_keyframe_of_a_query_takes_the_place_of_the_older() -> None:
    queue = KeyframeQueue(4)
    old, _ = queue.put(keyframe("a", 0, "q"), 0.0)
    _, pushed_out = queue.put(keyframe("a", 5, "q"), 1.0)
    assert pushed_out == [Superseded(old, (QueryId("q"),))]
    assert waiting(queue) == [(5, ["q"])]


def test_who_asks_again_keeps_its_turn() -> None:
    queue = KeyframeQueue(4)
    queue.put(keyframe("a", 0, "q"), 0.0)
    queue.put(keyframe("b", 1, "q"), 1.0)
    queue.put(keyframe("a", 5, "q"), 2.0)
    assert waiting(queue) == [(5, ["q"]), (1, ["q"])]


def test_who_was_served_queues_again_at_the_end() -> None:
    queue = KeyframeQueue(4)
    queue.put(keyframe("a", 0, "q"), 0.0)
    queue.put(keyframe("b", 1, "q"), 1.0)
    assert turn(queue, 2.0) == [(0, ["q"])]
    queue.put(keyframe("a", 5, "q"), 3.0)
    assert waiting(queue) == [(1, ["q"]), (5, ["q"])]


def test_other_queries_of_the_older_keyframe_keep_their_place() -> None:
    queue = KeyframeQueue(4)
    old, _ = queue.put(keyframe("a", 0, "q", "r"), 0.0)
    queue.put(keyframe("a", 5, "q"), 1.0)
    assert queue.waits(old)
    assert sorted(waiting(queue)) == [(0, ["r"]), (5, ["q"])]


def test_streams_do_not_push_each_other_out_while_there_is_room() -> None:
    queue = KeyframeQueue(2)
    queue.put(keyframe("a", 0, "q"), 0.0)
    _, pushed_out = queue.put(keyframe("b", 0, "q"), 0.0)
    assert pushed_out == []
    assert len(queue) == 2


def test_where_there_is_no_room_who_has_waited_shortest_gives_way() -> None:
    queue = KeyframeQueue(2)
    queue.put(keyframe("a", 0, "qa"), 0.0)
    queue.put(keyframe("b", 1, "qb"), 1.0)
    newest, pushed_out = queue.put(keyframe("c", 2, "qc"), 2.0)
    assert pushed_out == [Superseded(newest, (QueryId("qc"),))]
    assert waiting(queue) == [(0, ["qa"]), (1, ["qb"])]


def test_what_was_waited_in_vain_counts_when_it_is_asked_again() -> None:
    queue = KeyframeQueue(2)
    for index, stream in enumerate("abc"):
        queue.put(keyframe(stream, index, "q"), float(index))
    assert waiting(queue) == [(0, ["q"]), (1, ["q"])]
    queue.put(keyframe("a", 7, "q"), 3.0)
    queue.put(keyframe("b", 8, "q"), 3.0)
    _, pushed_out = queue.put(keyframe("c", 9, "q"), 4.0)
    assert pushed_out[0].query_ids == ("q",)
    assert waiting(queue) == [(9, ["q"]), (7, ["q"])]


def test_who_has_given_up_asking_is_forgotten() -> None:
    queue = KeyframeQueue(1)
    queue.put(keyframe("a", 0, "q"), 0.0)
    queue.put(keyframe("b", 1, "q"), 1.0)
    waiting(queue)
    queue.put(keyframe("c", 2, "q"), 2.0 + FORGET_S)
    _, pushed_out = queue.put(keyframe("b", 3, "q"), 2.5 + FORGET_S)
    assert waiting(queue) == [(2, ["q"])]
    assert len(pushed_out) == 1


def test_a_keyframe_that_loses_a_query_and_then_its_place_is_given_up_once() -> None:
    queue = KeyframeQueue(2)
    queue.put(keyframe("b", 1, "qb"), 0.0)
    young, _ = queue.put(keyframe("a", 0, "q", "r"), 1.0)
    queue._since[(StreamId("a"), QueryId("q"))] = (0.5, 1.0)
    _, pushed_out = queue.put(keyframe("a", 2, "q"), 2.0)
    assert pushed_out == [Superseded(young, (QueryId("q"), QueryId("r")))]
    assert waiting(queue) == [(1, ["qb"]), (2, ["q"])]


def test_the_first_waits_a_moment_for_company() -> None:
    queue = KeyframeQueue(4)
    assert queue.ready_s() is None
    queue.put(keyframe("a", 0, "q"), 1.0)
    queue.put(keyframe("b", 1, "q"), 1.0 + WINDOW_S / 2)
    assert queue.ready_s() == 1.0 + WINDOW_S
    assert turn(queue, 1.0 + WINDOW_S / 2, most=8) == []
    assert turn(queue, 1.0 + WINDOW_S, most=8) == [(0, ["q"]), (1, ["q"])]


def test_masks_are_taken_together_and_words_alone() -> None:
    queue = KeyframeQueue(8)
    for index, stream in enumerate("abc"):
        queue.put(keyframe(stream, index, "q"), 0.0)
    queue.put(words("a", 3, "how many?"), 0.0)
    queue.put(words("b", 4, "how many?"), 0.0)
    assert turn(queue, 1.0, most=2) == [(0, ["q"]), (1, ["q"])]
    assert turn(queue, 1.0, most=2) == [(2, ["q"])]
    assert turn(queue, 1.0, most=2) == [(3, ["how many?"])]
    assert turn(queue, 1.0, most=2) == [(4, ["how many?"])]


def test_of_one_stream_all_masks_are_taken_at_once() -> None:
    queue = KeyframeQueue(8)
    for index, (stream, query) in enumerate([("a", "q"), ("b", "q"), ("a", "r"), ("c", "q")]):
        queue.put(keyframe(stream, index, query), 0.0)
    assert turn(queue, 1.0, most=2) == [(0, ["q"]), (1, ["q"]), (2, ["r"])]
    assert turn(queue, 1.0, most=2) == [(3, ["q"])]


def test_one_look_at_the_newest_picture_of_a_stream_is_for_all_that_is_asked_of_it() -> None:
    asked = [keyframe("a", 4, "q", "s"), keyframe("b", 9, "q"), keyframe("a", 2, "r")]
    shown = looks(asked)
    assert [one.frame for one in shown] == [asked[0].frame, asked[1].frame]
    assert [[query.query_id for query in one.queries] for one in shown] == [["q", "s", "r"], ["q"]]


def test_a_stream_that_began_anew_under_its_old_name_is_shown_as_it_is_now() -> None:
    before, now = (
        replace(keyframe("a", 5000, "q"), asked_s=10.0),
        replace(keyframe("a", 3, "r"), asked_s=20.0),
    )
    assert [one.frame for one in looks([before, now])] == [now.frame]


def test_between_two_answers_in_words_masks_are_served() -> None:
    queue = KeyframeQueue(8)
    for index, stream in enumerate("ab"):
        queue.put(words(stream, index, "how many?"), 0.0)
    queue.put(keyframe("c", 2, "q"), 5.0)
    assert [turn(queue, 9.0) for _ in range(3)] == [[(0, ["how many?"])], [(2, ["q"])], [(1, ["how many?"])]]


def test_how_long_it_waited_is_told() -> None:
    queue = KeyframeQueue(2)
    queue.put(keyframe("a", 0, "q"), 1.0)
    queue.put(keyframe("a", 1, "q"), 3.0)
    (taken,) = queue.take(7.0, 1)
    assert taken.waited_s == 4.0, "of this picture"


def test_what_came_before_a_moment_can_be_given_up() -> None:
    queue = KeyframeQueue(4)
    old, _ = queue.put(keyframe("a", 0, "q"), 1.0)
    queue.put(keyframe("b", 1, "q"), 3.0)
    assert queue.give_up(2.0) == [Superseded(old, (QueryId("q"),))]
    assert waiting(queue) == [(1, ["q"])]


def test_a_keyframe_is_split_so_that_nobody_waits_for_anothers_words() -> None:
    mixed = keyframe("a", 0, "q", "r")
    asked = Query(QueryId("how"), StreamId("a"), "how many?", QueryKind.ASK)
    told = Query(QueryId("all"), StreamId("a"), "all", QueryKind.DESCRIBE)
    whole = Keyframe(mixed.frame, (asked, *mixed.queries, told), 0.0)
    parts = apart(whole)
    assert [[query.query_id for query in part.queries] for part in parts] == [["q", "r"], ["how"], ["all"]]
    assert [wants_words(part) for part in parts] == [False, True, True]
    assert all(part.frame is mixed.frame for part in parts)


@pytest.mark.parametrize(
    ("look_s", "most"), [(0.0, MOST_TOGETHER), (0.01, MOST_TOGETHER), (0.1, 5), (0.3, 1), (20.0, 1)]
)
def test_slow_models_take_fewer_at_a_time(look_s: float, most: int) -> None:
    assert most_together(look_s) == most


@pytest.mark.parametrize("capacity", [32, 3])
@pytest.mark.parametrize("work_s", [0.05, 0.4, 3.0])
def test_ten_queries_on_four_streams_are_all_served_equally_often(capacity: int, work_s: float) -> None:
    """They ask again and again, some ten times as often as others, more than the model can answer."""
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
            queue.put(words("s0", 9, "how many?"), now_s)
            due_s[9] = now_s + 2.0
        if free_s <= now_s and (taken := queue.take(now_s, most_together(work_s))):
            for one in taken:
                number = one.keyframe.frame.index
                served[number] += 1
                longest_s = max(longest_s, now_s - last_s.get(number, 0.0))
                last_s[number] = now_s
            free_s = now_s + work_s * (4 if taken[0].keyframe.queries[0].kind is QueryKind.ASK else 1)
        now_s += 0.05
    assert served.keys() == set(range(10))
    # Who found no room comes again when it asks again, and then is let in.
    assert longest_s <= 2 * 2.0 + 30 * work_s
