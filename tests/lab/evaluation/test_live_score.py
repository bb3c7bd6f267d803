"""Scores of masks on live streams."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from engines.masks import encode_mask
from lab.evaluation.live_clips import SIZE, LiveClip
from lab.evaluation.live_score import PATIENCE_S, LiveQuery, LiveResult, LiveRun, LiveScore, score_live_runs
from lab.training.language.expressions import Expression
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

S, Q = StreamId("live"), QueryId("q")
ASKED_S = 100.0
ONE, OTHER = Expression("the one", "kind", (0,)), Expression("the other", "colour", (1,))
ABSENT = Expression("the ghost", "kind", ())
NOT_VISIBLE = -1


def block(x: int) -> Mask:
    """A square at x, or an empty mask."""
    mask = np.zeros(SIZE, bool)
    if x != NOT_VISIBLE:
        mask[100:200, x : x + 100] = True
    return mask


def clip(*places: int) -> LiveClip:
    """An object at these places, one per frame, and another that does not move."""
    masks = tuple((encode_mask(block(x)), encode_mask(block(500))) for x in places)
    return LiveClip("0", Path("unused"), masks, ())


def live_query(expression: Expression, query_id: QueryId = Q) -> LiveQuery:
    return LiveQuery(Query(query_id, S, expression.text, accepted_s=ASKED_S), expression, ASKED_S + 3)


def published(
    after_s: float, mask: Mask | None, *, tracked_frame: int = 0, current_frame: int = 0
) -> LiveResult:
    """A result published so long after the query was accepted."""
    at_s = ASKED_S + after_s
    tracks: tuple[Track, ...] = ()
    if mask is not None:
        tracks = (Track(TrackId(1), Q, 1, "", TrackState.ACTIVE, 1.0, (0, 0, 1, 1), encode_mask(mask), 0),)
    height, width = SIZE
    latency = Latency(0, 0, 0.04)
    result = FrameResult(S, 0, 0, at_s - 0.04, Clock.ARRIVAL, at_s, width, height, 0, latency, tracks)
    return LiveResult(result, tracked_frame, current_frame)


def scored(
    places: LiveClip, expression: Expression, *results: LiveResult, answers: tuple[AnswerReport, ...] = ()
) -> LiveScore:
    return score_live_runs([LiveRun(places, (live_query(expression),), results, answers)])


def absence(after_s: float) -> AnswerReport:
    return AnswerReport(S, Q, 1, 0, "I cannot see it.", None, ASKED_S + after_s)


def test_masks_are_compared_with_the_frame_that_is_current_when_they_are_published() -> None:
    late = published(0.5, block(0), tracked_frame=0, current_frame=1)
    score = scored(clip(0, 50), ONE, late)
    assert score.overall.j == pytest.approx(1 / 3)
    assert score.j_own_picture == 1.0
    assert score.by_kind["kind"].j == score.overall.j


def test_an_exact_mask_has_j_and_f_one() -> None:
    score = scored(clip(0), ONE, published(0.5, block(0)))
    assert (score.overall.j_and_f, score.overall.cases, score.unmasked) == (1.0, 1, 0.0)


def test_the_mask_of_another_object_scores_zero() -> None:
    assert scored(clip(0), OTHER, published(0.5, block(0))).overall.j_and_f == 0.0


def test_a_query_is_scored_from_its_answer_to_the_end_of_its_window() -> None:
    results = [
        published(at_s, mask) for at_s, mask in ((0.2, None), (0.4, block(0)), (0.6, None), (3.1, None))
    ]
    score = scored(clip(0), ONE, *results)
    assert (score.overall.cases, score.overall.j) == (2, 0.5)
    assert score.prompt_to_mask_p50_s == pytest.approx(0.4)


def test_an_unanswered_query_is_scored_after_the_patience() -> None:
    early, late = published(PATIENCE_S - 0.1, None), published(PATIENCE_S + 0.1, None)
    score = scored(clip(0), ONE, early, late)
    assert (score.overall.cases, score.overall.j, score.unmasked) == (1, 0.0, 1.0)
    assert score.prompt_to_mask_p50_s is None


def test_a_wrong_report_of_absence_is_scored_from_its_time_on() -> None:
    score = scored(clip(0), ONE, published(0.2, None), published(0.4, None), answers=(absence(0.3),))
    assert (score.overall.cases, score.unmasked) == (1, 1.0)


def test_for_an_absent_object_no_mask_is_right() -> None:
    results = (published(0.4, None), published(0.6, None), published(0.8, None), published(0.9, block(0)))
    score = scored(clip(0), ABSENT, *results, answers=(absence(0.3),))
    assert (score.silent, score.overall.cases) == (0.75, 0)
    assert math.isnan(score.unmasked), "only queries about present objects count"


def test_while_an_object_is_not_visible_no_mask_is_right() -> None:
    results = [
        published(0.4, block(0), current_frame=0),
        published(0.6, None, current_frame=1),
        published(0.8, block(0), current_frame=1),
    ]
    score = scored(clip(0, NOT_VISIBLE), ONE, *results)
    assert (score.silent_away, score.overall.cases, score.overall.j) == (0.5, 2, 0.5)


def test_figures_are_over_all_clips() -> None:
    good = LiveRun(clip(0), (live_query(ONE),), (published(0.5, block(0)),), ())
    bad = LiveRun(clip(0), (live_query(OTHER),), (published(0.5, block(0)),), ())
    score = score_live_runs([good, bad])
    assert (score.clips, score.words, score.overall.j_and_f) == (2, 2, 0.5)
    assert {kind: fit.j for kind, fit in score.by_kind.items()} == {"kind": 1.0, "colour": 0.0}
    assert score.frame_age_p95_s == pytest.approx(0.04)


def test_without_clips_there_are_no_figures() -> None:
    score = score_live_runs([])
    assert (score.clips, score.words, score.prompt_to_mask_p50_s) == (0, 0, None)
    assert math.isnan(score.overall.j) and math.isnan(score.tracked_fps)
