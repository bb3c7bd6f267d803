"""The demo's judge."""

import numpy as np
import pytest

from engines.masks import encode_mask
from lab.demo.judge import Judge
from lab.demo.scene import Truth
from streaming.events import AnswerReport
from streaming.vocabulary import (
    Clock,
    FrameResult,
    Latency,
    Mask,
    Query,
    QueryId,
    StreamId,
    Track,
    TrackId,
    TrackState,
)

Q, S = QueryId("q"), StreamId("demo")


def block(x: int) -> Mask:
    mask = np.zeros((20, 40), bool)
    if 0 <= x < 30:
        mask[5:15, x : x + 10] = True
    return mask


def truth() -> Truth:
    """A red circle that moves right by ten pixels a frame and is out of sight on the fourth."""
    return Truth(30.0, ("red circle",), tuple((encode_mask(block(x)),) for x in (0, 10, 20, -1)))


def result(index: int, mask: Mask | None, *, revision: int = 1) -> FrameResult:
    tracks: tuple[Track, ...] = ()
    if mask is not None:
        tracks = (
            Track(TrackId(1), Q, revision, "", TrackState.ACTIVE, 1.0, (0, 0, 1, 1), encode_mask(mask), 0),
        )
    at_s = 100 + index / 30
    return FrameResult(
        S, index, index / 30, at_s, Clock.ARRIVAL, at_s, 40, 20, 0, Latency(0, 0, 0.04), tracks
    )


def judge() -> Judge:
    judging = Judge(truth())
    judging.ask(Query(Q, S, "the red circle", accepted_s=99.8))
    return judging


def test_masks_on_their_objects_score_one() -> None:
    judging = judge()
    for index in range(3):
        judging.see(result(index, block(10 * index)), index)
    verdict = judging.verdict()
    assert verdict.j_mean == 1.0
    assert verdict.prompt_to_mask_p50_s == pytest.approx(0.2)
    assert verdict.tracked_fps == pytest.approx(30)
    assert verdict.frame_age_p95_s == pytest.approx(0.04)


def test_a_mask_that_lags_behind_loses() -> None:
    judging = judge()
    judging.see(result(0, block(0)), 0)
    judging.see(result(1, block(5)), 1)
    assert judging.verdict().j_mean == pytest.approx((1 + 1 / 3) / 2)


def test_a_missing_mask_scores_nothing_once_the_query_was_answered() -> None:
    judging = judge()
    judging.see(result(0, None), 0)
    judging.see(result(1, block(10)), 1)
    judging.see(result(2, None), 2)
    verdict = judging.verdict()
    assert (verdict.j_mean, verdict.j_frames) == (0.5, 2)


def test_silence_while_the_object_is_away_is_right_and_a_mask_is_wrong() -> None:
    judging = judge()
    judging.see(result(0, block(0)), 0)
    judging.see(result(3, None), 3)
    assert (judging.verdict().j_mean, judging.verdict().absent_silent) == (1.0, 1.0)
    judging.see(result(3, block(0)), 3)
    assert (judging.verdict().j_mean, judging.verdict().absent_silent) == (0.5, 0.5)


def test_the_clip_goes_round() -> None:
    judging = judge()
    judging.see(result(4001, block(10)), 4001)
    assert judging.verdict().j_mean == 1.0


def test_an_old_revisions_mask_is_judged_by_its_own_words_until_the_new_one_has_a_mask() -> None:
    judging = judge()
    judging.see(result(0, block(0)), 0)
    judging.ask(Query(Q, S, "the white star", revision=2, accepted_s=100.0))
    judging.see(result(1, block(10), revision=1), 1)
    assert judging.verdict().j_mean == 1.0


def refusal(revision: int, at_s: float) -> AnswerReport:
    return AnswerReport(S, Q, revision, 0, "Sorry, I cannot see it.", None, at_s)


def test_words_that_were_refused_promise_silence_from_then_on() -> None:
    judging = judge()
    judging.see(result(0, block(0)), 0)
    judging.ask(Query(Q, S, "the white star", revision=2, accepted_s=100.0))
    judging.hear(refusal(2, at_s=100 + 1.5 / 30))
    judging.see(result(1, block(10), revision=1), 1)
    assert judging.verdict().absent_frames == 0, "published before the refusal"
    judging.see(result(2, None), 2)
    judging.see(result(2, block(20), revision=1), 2)
    verdict = judging.verdict()
    assert (verdict.absent_frames, verdict.absent_silent, verdict.j_frames) == (2, 0.5, 3)
    assert verdict.prompts_answered == 1


def test_a_thing_that_is_there_and_was_refused_counts_as_missed() -> None:
    judging = judge()
    judging.hear(refusal(1, at_s=100.0))
    judging.see(result(1, None), 1)
    assert judging.verdict().j_mean == 0.0


def test_nothing_seen_is_said_as_nothing() -> None:
    verdict = Judge(truth()).verdict()
    assert (verdict.results, verdict.j_mean, verdict.prompt_to_mask_p50_s) == (0, None, None)
