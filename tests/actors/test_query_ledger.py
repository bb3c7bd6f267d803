"""What came of each query."""

import numpy as np

from actors.query_ledger import QueryBook
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


def book(kind: QueryKind = QueryKind.REFER) -> QueryBook:
    opened = QueryBook()
    opened.set_queries([query(kind=kind)])
    return opened


def test_the_first_mask_of_a_revision_stops_its_clock_once() -> None:
    opened = book()
    firsts, reports = opened.note([answer("Sure.")], [track()], now_s=10.5)
    assert firsts == (0.5,)
    assert [report.prompt_to_mask_s for report in reports] == [0.5]
    assert opened.note([], [track()], now_s=11.0) == ((), ())
    assert opened.statuses()[0].prompt_to_mask_s == 0.5


def test_the_same_words_again_are_no_news() -> None:
    opened = book()
    opened.note([answer("No.", ())], [], now_s=10.5)
    assert opened.note([answer("No.", ())], [], now_s=11.0)[1] == ()
    assert len(opened.note([answer("Sure.")], [track()], now_s=12.0)[1]) == 1


def test_a_mask_of_the_old_revision_is_not_the_new_ones_first() -> None:
    opened = book()
    opened.note([answer("Sure.")], [track()], now_s=10.5)
    opened.set_queries([query(revision=2)])
    assert opened.note([], [track(revision=1)], now_s=11.0)[0] == ()
    assert opened.statuses()[0].prompt_to_mask_s is None


def test_a_question_in_words_is_answered_by_text() -> None:
    opened = book(QueryKind.ASK)
    opened.note([answer("Two.", ())], [], now_s=11.0)
    status = opened.statuses()[0]
    assert (status.state, status.answer) == (QueryState.ANSWERED, "Two.")


def test_a_failure_does_not_unsettle_what_is_followed() -> None:
    opened = book()
    opened.note([answer("Sure.")], [track()], now_s=10.5)
    opened.failed([Q, QueryId("unknown")])
    assert opened.statuses()[0].state is QueryState.FOLLOWING


def test_a_query_that_is_gone_leaves_no_page() -> None:
    opened = book()
    opened.note([answer("Sure.")], [track()], now_s=10.5)
    opened.set_queries([])
    assert opened.statuses() == ()
