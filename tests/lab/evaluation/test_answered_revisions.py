"""From when on words can be judged."""

import pytest

from lab.evaluation.answered_revisions import Promises
from streaming.events import AnswerReport
from streaming.vocabulary import (
    Clock,
    FrameResult,
    Latency,
    MaskRle,
    Query,
    QueryId,
    StreamId,
    Track,
    TrackId,
    TrackState,
)

Q, S = QueryId("q"), StreamId("s")


def asked(revision: int, at_s: float) -> Query:
    return Query(Q, S, f"words {revision}", revision=revision, accepted_s=at_s)


def result(at_s: float, revision: int, *, masked: bool = True) -> FrameResult:
    mask = MaskRle((4, 4), "0") if masked else None
    track = Track(TrackId(1), Q, revision, "", TrackState.ACTIVE, 1.0, None, mask, 0)
    return FrameResult(S, 0, 0, at_s, Clock.ARRIVAL, at_s, 4, 4, 0, Latency(0, 0, 0), (track,))


def refusal(revision: int, at_s: float) -> AnswerReport:
    return AnswerReport(S, Q, revision, 0, "I cannot see it.", None, at_s)


def test_words_are_answered_by_their_first_mask() -> None:
    promises = Promises()
    promises.ask(asked(1, 100.0))
    promises.see(result(100.1, 1, masked=False))
    assert promises.answered_s(asked(1, 100.0)) is None
    promises.see(result(100.3, 1))
    promises.see(result(100.5, 1))
    assert promises.answered_s(asked(1, 100.0)) == 100.3
    assert promises.waits_s() == [pytest.approx(0.3)]


def test_a_refusal_answers_too_and_is_no_mask() -> None:
    promises = Promises()
    promises.ask(asked(1, 100.0))
    promises.hear(refusal(1, 100.2))
    assert promises.answered_s(asked(1, 100.0)) == 100.2
    assert promises.waits_s() == []


def test_old_words_hold_until_the_new_ones_are_answered() -> None:
    promises = Promises()
    promises.ask(asked(1, 100.0))
    promises.see(result(100.3, 1))
    promises.ask(asked(2, 101.0))
    promises.see(result(101.4, 2))
    held = {at_s: [query.revision for query in promises.kept_at(at_s)] for at_s in (100.2, 101.3, 101.4)}
    assert held == {100.2: [], 101.3: [1], 101.4: [2]}


def test_words_that_somebody_else_asked_are_not_judged() -> None:
    promises = Promises()
    promises.see(result(100.3, 1))
    assert (promises.kept_at(101.0), promises.waits_s(), promises.asked) == ([], [], 0)


def test_an_answer_with_a_presence_waits_for_its_mask() -> None:
    promises = Promises()
    promises.ask(asked(1, 100.0))
    promises.hear(AnswerReport(S, Q, 1, 0, "Sure, [SEG].", 0.9, 100.2))
    assert promises.answered_s(asked(1, 100.0)) is None
