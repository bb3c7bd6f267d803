"""The demo's scored."""

from dataclasses import replace

import numpy as np
import pytest

from engines.masks import encode_mask
from lab.demo.ground_truth import GroundTruth
from lab.demo.scorer import DemoScorer
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


def truth() -> GroundTruth:
    """A red circle that moves right by ten pixels per frame and is not visible on the fourth."""
    return GroundTruth(30.0, ("red circle",), tuple((encode_mask(block(x)),) for x in (0, 10, 20, -1)))


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


def make_scorer() -> DemoScorer:
    scorer = DemoScorer(truth())
    scorer.add_query(Query(Q, S, "the red circle", accepted_s=99.8))
    return scorer


def test_masks_equal_to_the_ground_truth_score_one() -> None:
    scorer = make_scorer()
    for index in range(3):
        scorer.add_result(result(index, block(10 * index)), index)
    score = scorer.score()
    assert score.j_mean == 1.0
    assert score.prompt_to_mask_p50_s == pytest.approx(0.2)
    assert score.tracked_fps == pytest.approx(30)
    assert score.frame_age_p95_s == pytest.approx(0.04)


def test_a_mask_on_an_earlier_position_lowers_j() -> None:
    scorer = make_scorer()
    scorer.add_result(result(0, block(0)), 0)
    scorer.add_result(result(1, block(5)), 1)
    assert scorer.score().j_mean == pytest.approx((1 + 1 / 3) / 2)


def test_a_missing_mask_counts_as_j_zero_once_the_query_was_answered() -> None:
    scorer = make_scorer()
    scorer.add_result(result(0, None), 0)
    scorer.add_result(result(1, block(10)), 1)
    scorer.add_result(result(2, None), 2)
    score = scorer.score()
    assert (score.j_mean, score.j_frames) == (0.5, 2)


def test_while_the_object_is_not_visible_no_mask_is_right() -> None:
    scorer = make_scorer()
    scorer.add_result(result(0, block(0)), 0)
    scorer.add_result(result(3, None), 3)
    assert (scorer.score().j_mean, scorer.score().absent_silent) == (1.0, 1.0)
    scorer.add_result(result(3, block(0)), 3)
    assert (scorer.score().j_mean, scorer.score().absent_silent) == (0.5, 0.5)


def test_frames_are_counted_modulo_the_clip() -> None:
    scorer = make_scorer()
    scorer.add_result(result(4001, block(10)), 4001)
    assert scorer.score().j_mean == 1.0


def test_the_old_revision_is_scored_until_the_new_one_has_a_mask() -> None:
    scorer = make_scorer()
    scorer.add_result(result(0, block(0)), 0)
    scorer.add_query(Query(Q, S, "the white star", revision=2, accepted_s=100.0))
    scorer.add_result(result(1, block(10), revision=1), 1)
    assert scorer.score().j_mean == 1.0


def absent(revision: int, at_s: float) -> AnswerReport:
    return AnswerReport(S, Q, revision, 0, "Sorry, I cannot see it.", None, at_s)


def test_after_a_report_of_absence_no_mask_is_right() -> None:
    scorer = make_scorer()
    scorer.add_result(result(0, block(0)), 0)
    scorer.add_query(Query(Q, S, "the white star", revision=2, accepted_s=100.0))
    scorer.add_answer(absent(2, at_s=100 + 1.5 / 30))
    scorer.add_result(result(1, block(10), revision=1), 1)
    assert scorer.score().absent_frames == 0, "published before the refusal"
    scorer.add_result(result(2, None), 2)
    scorer.add_result(result(2, block(20), revision=1), 2)
    score = scorer.score()
    assert (score.absent_frames, score.absent_silent, score.j_frames) == (2, 0.5, 3)
    assert score.prompts_answered == 1


def test_a_visible_object_reported_absent_has_j_zero() -> None:
    scorer = make_scorer()
    scorer.add_answer(absent(1, at_s=100.0))
    scorer.add_result(result(1, None), 1)
    assert scorer.score().j_mean == 0.0


def test_without_results_there_are_no_figures() -> None:
    score = DemoScorer(truth()).score()
    assert (score.results, score.j_mean, score.prompt_to_mask_p50_s) == (0, None, None)


def test_frames_on_which_the_referents_are_unknown_are_not_judged() -> None:
    scorer = DemoScorer(
        replace(truth(), phrases={"the red circle": (0,)}, unjudged={"the red circle": ((1, 1),)})
    )
    scorer.add_query(Query(Q, S, "the red circle", accepted_s=99.8))
    for index in range(3):
        scorer.add_result(result(index, block(10 * index) if index != 1 else None), index)
    score = scorer.score()
    assert (score.j_mean, score.j_frames, score.absent_frames) == (1.0, 2, 0)
