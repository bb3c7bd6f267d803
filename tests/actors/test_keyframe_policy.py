"""When queries are asked, through the ledger they are decided from."""

from collections.abc import Collection, Sequence

import numpy as np
import pytest

from actors.keyframe_policy import (
    ANSWER_TIMEOUT_S,
    DUTY,
    PATIENCE,
    REFRESH_S,
    WORDS_TIMEOUT_S,
    due_queries,
)
from actors.query_ledger import QueryLedger
from streaming.moment import Moment
from streaming.vocabulary import (
    Answer,
    Query,
    QueryId,
    QueryKind,
    SegPrompt,
    StreamId,
    Track,
    TrackId,
    TrackState,
)

STREAM = StreamId("s")
RED = Query(QueryId("red"), STREAM, "the red circle")
BLUE = Query(QueryId("blue"), STREAM, "the blue square")


def answer(query: Query, found: bool = True, ground_s: float = 0.05) -> Answer:
    prompt = SegPrompt(query.text, np.zeros(256, np.float32), 0.9)
    return Answer(
        STREAM, query.query_id, query.revision, 0, "Sure.", (prompt,) * found,
        np.zeros((int(found), 4, 4), np.float32), ground_s,
    )  # fmt: skip


def track(query: Query, state: TrackState, number: int = 1) -> Track:
    return Track(TrackId(number), query.query_id, query.revision, query.text, state, 0.9, None, None, 0)


def edited(query: Query) -> Query:
    return Query(query.query_id, STREAM, "something else", query.kind, query.revision + 1)


class Policy:
    """A stream's ledger, its questions decided by `due_queries` and recorded as the session does."""

    def __init__(self) -> None:
        self.ledger = QueryLedger()

    def set_queries(self, queries: Sequence[Query]) -> None:
        self.ledger.set_queries(queries, Moment(0.0, 0.0))

    def answered(self, answer: Answer, now_s: float) -> None:
        self.ledger.record_answer(answer, now_s)

    def failed(self, query_ids: Collection[QueryId], now_s: float) -> None:
        """The pending questions of these queries failed; of a query without one, a question never asked."""
        for entry in self.ledger.entries:
            if entry.query.query_id in query_ids:
                asked_s = -1.0 if entry.asked_s is None else entry.asked_s
                self.ledger.record_failure(entry.query, asked_s, now_s)
        self.ledger.record_failure(Query(QueryId("unknown"), STREAM, "unknown"), 0.0, now_s)

    def is_under_way(self, query_id: QueryId, asked_s: float) -> bool:
        return self.ledger.is_pending(query_id, asked_s)

    def due(self, tracks: Sequence[Track], now_s: float) -> tuple[Query, ...]:
        self.ledger.record_tracks(tracks)
        due = due_queries(self.ledger.entries, now_s)
        self.ledger.record_asked(due, now_s)
        return due


def policy_for(*queries: Query) -> Policy:
    policy = Policy()
    policy.set_queries(queries)
    return policy


def asked_at(policy: Policy, query: Query, tracks: list[Track], until_s: float) -> list[float]:
    """When the query is asked, at 100 frames a second, if every question is answered 50 ms later."""
    asked, pending_s = [], None
    for tick in range(int(until_s * 100)):
        now_s = tick / 100
        if pending_s is not None and now_s >= pending_s:
            policy.answered(answer(query), now_s)
            pending_s = None
        if policy.due(tracks, now_s):
            asked.append(now_s)
            pending_s = now_s + 0.05
    return asked


@pytest.mark.parametrize("kind", [QueryKind.ASK, QueryKind.DESCRIBE])
def test_ask_and_describe_have_a_longer_answer_timeout(kind: QueryKind):
    query = Query(QueryId("how"), STREAM, "how many?", kind)
    policy = policy_for(query)
    policy.due([], 0.0)
    assert policy.due([], WORDS_TIMEOUT_S - 0.1) == ()
    assert policy.due([], WORDS_TIMEOUT_S) == (query,)


def test_without_queries_nothing_is_asked():
    assert Policy().due([], 100.0) == ()


def test_a_new_query_is_asked_at_once_and_only_once():
    policy = policy_for(RED)
    assert policy.due([], 10.0) == (RED,)
    assert policy.due([], 10.01) == ()


def test_a_new_revision_is_asked_at_once_while_the_old_one_is_pending():
    policy = policy_for(RED)
    policy.due([], 0.0)
    policy.set_queries((edited(RED),))
    assert policy.due([], 0.01) == (edited(RED),)


def test_an_answer_to_an_old_revision_is_ignored():
    policy = policy_for(edited(RED))
    policy.due([], 0.0)
    policy.answered(answer(RED), 0.1)
    assert policy.due([], 0.2) == ()
    assert policy.due([], ANSWER_TIMEOUT_S) == (edited(RED),)


def test_setting_the_same_queries_again_asks_only_the_new_one():
    policy = policy_for(RED)
    policy.due([], 0.0)
    policy.set_queries((RED, BLUE))
    assert policy.due([], 0.01) == (BLUE,)


def test_a_query_whose_objects_are_visible_is_asked_every_second():
    asked = asked_at(policy_for(RED), RED, [track(RED, TrackState.ACTIVE)], 4.5)
    assert asked == pytest.approx([0.0, 1.05, 2.10, 3.15, 4.20])


def test_a_query_with_an_invisible_object_is_asked_soon_and_then_every_two_seconds():
    for state in (TrackState.OCCLUDED, TrackState.LOST):
        asked = asked_at(policy_for(RED), RED, [track(RED, state)], 7.0)
        assert asked == pytest.approx([0.0, 0.30, 0.85, 1.90, 3.95, 6.00])


def test_a_query_answered_as_absent_is_asked_again():
    policy = policy_for(RED)
    policy.due([], 0.0)
    policy.answered(answer(RED, found=False), 0.1)
    assert policy.due([], 0.3) == ()
    assert policy.due([], 0.36) == (RED,)


def test_one_lost_object_of_several_is_searched_for():
    policy = policy_for(RED)
    policy.due([], 0.0)
    policy.answered(answer(RED), 0.0)
    both = [track(RED, TrackState.ACTIVE, 1), track(RED, TrackState.LOST, 2)]
    assert policy.due(both, 0.25) == (RED,)


def test_an_ended_track_is_searched_for():
    policy = policy_for(RED)
    policy.due([], 0.0)
    policy.answered(answer(RED), 0.0)
    assert policy.due([track(RED, TrackState.ENDED)], 0.25) == (RED,)


def test_retry_waits_start_over_after_the_object_was_visible():
    policy = policy_for(RED)
    asked_at(policy, RED, [track(RED, TrackState.LOST)], 7.0)
    policy.answered(answer(RED), 7.0)
    assert policy.due([track(RED, TrackState.ACTIVE)], 7.1) == ()
    assert policy.due([track(RED, TrackState.LOST)], 7.25) == (RED,)


def test_a_question_without_an_answer_is_asked_again_after_the_timeout():
    policy = policy_for(RED)
    assert policy.due([], 0.0) == (RED,)
    assert policy.due([], ANSWER_TIMEOUT_S - 0.01) == ()
    assert policy.due([], ANSWER_TIMEOUT_S) == (RED,)


@pytest.mark.parametrize("with_new_revision", [False, True])
def test_the_timeout_is_at_least_twice_the_last_grounding_time(with_new_revision: bool):
    policy, slow_s = policy_for(RED), 4 * ANSWER_TIMEOUT_S
    policy.due([], 0.0)
    policy.answered(answer(RED, ground_s=slow_s), slow_s)
    if with_new_revision:
        policy.set_queries((edited(RED),))
    second_s = slow_s if with_new_revision else 2 * slow_s
    assert policy.due([], second_s)
    assert policy.due([], second_s + PATIENCE * slow_s - 0.1) == ()
    assert policy.due([], second_s + PATIENCE * slow_s)


def test_only_the_newest_question_of_a_query_is_pending_until_it_is_answered():
    policy = policy_for(RED)
    assert not policy.is_under_way(RED.query_id, 0.0)
    policy.due([], 0.0)
    assert policy.is_under_way(RED.query_id, 0.0)
    policy.due([], ANSWER_TIMEOUT_S)
    assert not policy.is_under_way(RED.query_id, 0.0)
    assert policy.is_under_way(RED.query_id, ANSWER_TIMEOUT_S)
    policy.answered(answer(RED), ANSWER_TIMEOUT_S + 1)
    assert not policy.is_under_way(RED.query_id, ANSWER_TIMEOUT_S)
    assert not policy.is_under_way(QueryId("unknown"), 0.0)


def test_failed_questions_are_asked_again_with_growing_waits():
    policy = policy_for(RED)
    waits = []
    now_s = 0.0
    for _ in range(6):
        asked_s = now_s
        while not policy.due([], now_s):
            now_s += 0.01
        waits.append(round(now_s - asked_s, 2))
        policy.failed([RED.query_id], now_s)
    assert waits == pytest.approx([0.0, 0.25, 0.5, 1.0, 2.0, 2.0], abs=0.02)


def test_a_failure_without_a_pending_question_is_ignored():
    policy = policy_for(RED)
    policy.failed([RED.query_id, QueryId("unknown")], 0.0)
    assert policy.due([], 0.0) == (RED,)


@pytest.mark.parametrize("kind", [QueryKind.ASK, QueryKind.DESCRIBE])
def test_a_text_query_is_asked_once_per_revision(kind):
    query = Query(QueryId("what"), STREAM, "what is this?", kind)
    policy = policy_for(query)
    assert policy.due([], 0.0) == (query,)
    policy.failed([query.query_id], 0.1)
    assert policy.due([], 0.5) == (query,)
    policy.answered(answer(query, found=False), 0.6)
    assert policy.due([], 1e6) == ()
    policy.set_queries((edited(query),))
    assert policy.due([], 1e6) == (edited(query),)


def test_queries_that_are_nearly_due_join_the_keyframe():
    policy = policy_for(RED, BLUE)
    tracks = [track(RED, TrackState.ACTIVE, 1), track(BLUE, TrackState.ACTIVE, 2)]
    assert policy.due([], 0.0) == (RED, BLUE)
    policy.answered(answer(RED), 0.0)
    policy.answered(answer(BLUE), 0.2)
    assert policy.due(tracks, REFRESH_S) == (RED, BLUE)


def test_a_pending_question_does_not_join_a_keyframe_early():
    policy = policy_for(RED)
    policy.due([], 0.0)
    policy.set_queries((RED, BLUE))
    assert policy.due([], ANSWER_TIMEOUT_S - 0.1) == (BLUE,)


def test_a_slow_grounder_is_asked_less_often():
    policy = policy_for(RED)
    policy.due([], 0.0)
    policy.answered(answer(RED, ground_s=1.0), 0.0)
    active, lost = [track(RED, TrackState.ACTIVE)], [track(RED, TrackState.LOST)]
    assert policy.due(active, 1.0 / DUTY - 0.01) == ()
    assert policy.due(lost, 0.9) == ()
    assert policy.due(lost, 1.0) == (RED,)


def test_an_answer_to_a_removed_query_is_ignored():
    policy = policy_for(RED)
    policy.set_queries(())
    policy.answered(answer(RED), 0.0)
    assert policy.due([], 1e6) == ()
