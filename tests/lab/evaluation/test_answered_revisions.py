"""When each query revision was first answered."""

import pytest

from lab.evaluation.answered_revisions import AnsweredRevisions
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


def query(revision: int, at_s: float) -> Query:
    return Query(Q, S, f"words {revision}", revision=revision, accepted_s=at_s)


def result(at_s: float, revision: int, *, masked: bool = True) -> FrameResult:
    mask = MaskRle((4, 4), "0") if masked else None
    track = Track(TrackId(1), Q, revision, "", TrackState.ACTIVE, 1.0, None, mask, 0)
    return FrameResult(S, 0, 0, at_s, Clock.ARRIVAL, at_s, 4, 4, 0, Latency(0, 0, 0), (track,))


def absent(revision: int, at_s: float) -> AnswerReport:
    return AnswerReport(S, Q, revision, 0, "I cannot see it.", None, at_s)


def test_a_revision_is_answered_by_its_first_mask() -> None:
    answered = AnsweredRevisions()
    answered.add_query(query(1, 100.0))
    answered.add_result(result(100.1, 1, masked=False))
    assert answered.answered_s(query(1, 100.0)) is None
    answered.add_result(result(100.3, 1))
    answered.add_result(result(100.5, 1))
    assert answered.answered_s(query(1, 100.0)) == 100.3
    assert answered.prompt_to_mask_s() == [pytest.approx(0.3)]


def test_a_report_of_absence_answers_a_revision_without_a_mask() -> None:
    answered = AnsweredRevisions()
    answered.add_query(query(1, 100.0))
    answered.add_answer(absent(1, 100.2))
    assert answered.answered_s(query(1, 100.0)) == 100.2
    assert answered.prompt_to_mask_s() == []


def test_the_old_revision_is_scored_until_the_new_one_is_answered() -> None:
    answered = AnsweredRevisions()
    answered.add_query(query(1, 100.0))
    answered.add_result(result(100.3, 1))
    answered.add_query(query(2, 101.0))
    answered.add_result(result(101.4, 2))
    held = {at_s: [one.revision for one in answered.answered_by(at_s)] for at_s in (100.2, 101.3, 101.4)}
    assert held == {100.2: [], 101.3: [1], 101.4: [2]}


def test_revisions_that_were_not_added_are_not_scored() -> None:
    answered = AnsweredRevisions()
    answered.add_result(result(100.3, 1))
    assert (answered.answered_by(101.0), answered.prompt_to_mask_s(), answered.revisions) == ([], [], 0)


def test_an_answer_with_a_presence_score_counts_from_its_first_mask() -> None:
    answered = AnsweredRevisions()
    answered.add_query(query(1, 100.0))
    answered.add_answer(AnswerReport(S, Q, 1, 0, "Sure, [SEG].", 0.9, 100.2))
    assert answered.answered_s(query(1, 100.0)) is None
