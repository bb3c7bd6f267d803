"""What a ledger records of its queries. When they are asked: test_keyframe_policy.py."""

import numpy as np

from actors.query_ledger import QueryLedger
from streaming.moment import Moment
from streaming.status import QueryState
from streaming.vocabulary import (
    Answer,
    MaskRle,
    Query,
    QueryId,
    QueryKind,
    SegPrompt,
    StreamId,
    Track,
    TrackId,
    TrackState,
)

Q, S = QueryId("q"), StreamId("s")
FOUND = (SegPrompt("it", np.zeros(4, np.float32), 0.8),)


def query(revision: int = 1, kind: QueryKind = QueryKind.REFER) -> Query:
    return Query(Q, S, "it", kind, revision, accepted_s=10.0)


def answer(text: str, prompts: tuple[SegPrompt, ...] = FOUND, revision: int = 1) -> Answer:
    return Answer(S, Q, revision, 0, text, prompts, np.zeros((len(prompts), 2, 2), np.float32))


def track(revision: int = 1) -> Track:
    mask = MaskRle((2, 2), "04")
    return Track(TrackId(1), Q, revision, "it", TrackState.ACTIVE, 1.0, (0, 0, 1, 1), mask, 0)


def at(now_s: float, wall_ahead_s: float = 0.0) -> Moment:
    return Moment(now_s + wall_ahead_s, now_s)


def ledger_of(kind: QueryKind = QueryKind.REFER) -> QueryLedger:
    ledger = QueryLedger()
    ledger.set_queries([query(kind=kind)], at(10.0))
    return ledger


def test_the_first_mask_of_a_revision_sets_prompt_to_mask_once() -> None:
    ledger = ledger_of()
    firsts, reports = ledger.report([answer("Sure.")], [track()], at(10.5))
    assert firsts == (0.5,)
    assert [report.prompt_to_mask_s for report in reports] == [0.5]
    assert ledger.report([], [track()], at(11.0)) == ((), ())
    assert ledger.statuses()[0].prompt_to_mask_s == 0.5


def test_an_answer_with_the_same_text_is_not_reported_again() -> None:
    ledger = ledger_of()
    ledger.report([answer("No.", ())], [], at(10.5))
    assert ledger.report([answer("No.", ())], [], at(11.0))[1] == ()
    assert len(ledger.report([answer("Sure.")], [track()], at(12.0))[1]) == 1


def test_a_mask_of_the_old_revision_is_not_the_first_of_the_new_revision() -> None:
    ledger = ledger_of()
    ledger.report([answer("Sure.")], [track()], at(10.5))
    ledger.set_queries([query(revision=2)], at(10.6))
    assert ledger.report([], [track(revision=1)], at(11.0))[0] == ()
    assert ledger.statuses()[0].prompt_to_mask_s is None


def test_an_ask_query_is_answered_by_its_text() -> None:
    ledger = ledger_of(QueryKind.ASK)
    ledger.report([answer("Two.", ())], [], at(11.0))
    status = ledger.statuses()[0]
    assert (status.state, status.answer) == (QueryState.ANSWERED, "Two.")


def test_a_failure_does_not_change_the_state_of_a_query_that_is_tracked() -> None:
    ledger = ledger_of()
    ledger.report([answer("Sure.")], [track()], at(10.5))
    ledger.record_asked([query()], 11.0)
    ledger.record_failure(query(), 11.0, 11.1)
    assert ledger.statuses()[0].state is QueryState.FOLLOWING


def test_a_failed_first_question_makes_the_query_failed() -> None:
    ledger = ledger_of()
    ledger.record_asked([query()], 10.0)
    ledger.record_failure(query(), 9.0, 10.1)
    assert ledger.statuses()[0].state is QueryState.PENDING, "not the pending question"
    ledger.record_failure(query(), 10.0, 10.1)
    assert ledger.statuses()[0].state is QueryState.FAILED


def test_set_queries_returns_removed_ids_and_drops_their_entries() -> None:
    ledger = ledger_of()
    ledger.report([answer("Sure.")], [track()], at(10.5))
    assert ledger.set_queries([], at(11.0)) == (Q,)
    assert ledger.statuses() == ()


def test_reset_asks_again_and_keeps_statuses() -> None:
    ledger = ledger_of()
    ledger.record_asked([query()], 10.0)
    ledger.record_answer(answer("Sure."), 10.4)
    ledger.report([answer("Sure.")], [track()], at(10.5))
    before = ledger.statuses()
    ledger.reset()
    (entry,) = ledger.entries
    assert (entry.asked_s, entry.closed_s, entry.misses) == (None, None, 0)
    assert ledger.statuses() == before


def test_prompt_to_mask_is_measured_by_the_monotonic_clock() -> None:
    ledger = ledger_of()
    ((seconds,), (report,)) = ledger.report([answer("Sure.")], [track()], at(10.5, wall_ahead_s=3600.0))
    assert (seconds, report.at_s) == (0.5, 3610.5)


def test_a_query_that_was_accepted_before_it_came_here_counts_from_its_acceptance() -> None:
    ledger = QueryLedger()
    ledger.set_queries([query()], at(3.0, wall_ahead_s=9.0))  # accepted at 10 s, received at 12 s
    assert ledger.report([answer("Sure.")], [track()], at(3.5))[0] == (2.5,)


def test_a_restored_ledger_keeps_statuses_and_asks_referring_queries_again() -> None:
    ledger, other = ledger_of(), QueryLedger()
    ledger.record_asked([query()], 10.0)
    ledger.record_answer(answer("Sure."), 10.4)
    ledger.report([answer("Sure.")], [track()], at(10.5))
    other.restore(ledger.records(), at(2.0))
    assert other.set_queries([query()], at(2.1)) == ()
    assert other.statuses() == ledger.statuses()
    (entry,) = other.entries
    assert entry.closed_s is None, "its objects may have moved"
    assert other.report([answer("Sure.")], [track()], at(2.5)) == ((), ()), "the same answer as before"


def test_a_restored_text_answer_is_not_asked_again_and_a_new_revision_is() -> None:
    ledger, other = ledger_of(QueryKind.ASK), QueryLedger()
    ledger.record_answer(answer("Two.", ()), 10.4)
    ledger.report([answer("Two.", ())], [], at(10.5))
    other.restore(ledger.records(), at(2.0))
    assert [entry.answered_s for entry in other.entries] == [2.0]
    other.set_queries([query(2, QueryKind.ASK)], at(2.1))
    assert [entry.closed_s for entry in other.entries] == [None]


def test_a_query_that_was_removed_before_the_restore_is_returned_as_removed() -> None:
    ledger, other = ledger_of(), QueryLedger()
    other.restore(ledger.records(), at(2.0))
    assert other.set_queries([], at(2.1)) == (Q,)
