"""How masks of a live stream are judged."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from engines.masks import encode_mask
from lab.evaluation.live_clips import SIZE, LiveClip
from lab.evaluation.live_score import PATIENCE_S, Asked, LiveScore, Played, Shown, score_played
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
NOBODY = Expression("the ghost", "kind", ())
GONE = -1


def block(x: int) -> Mask:
    """A square at x, or nothing at all."""
    mask = np.zeros(SIZE, bool)
    if x != GONE:
        mask[100:200, x : x + 100] = True
    return mask


def clip(*places: int) -> LiveClip:
    """One thing that is at such a place on each picture, and another that never moves."""
    masks = tuple((encode_mask(block(x)), encode_mask(block(500))) for x in places)
    return LiveClip(0, Path("unused"), masks, ())


def asked(expression: Expression, query_id: QueryId = Q) -> Asked:
    return Asked(Query(query_id, S, expression.text, accepted_s=ASKED_S), expression, ASKED_S + 3)


def shown(after_s: float, mask: Mask | None, *, about: int = 0, on_air: int = 0) -> Shown:
    """A result published so long after the words were asked."""
    at_s = ASKED_S + after_s
    tracks: tuple[Track, ...] = ()
    if mask is not None:
        tracks = (Track(TrackId(1), Q, 1, "", TrackState.ACTIVE, 1.0, (0, 0, 1, 1), encode_mask(mask), 0),)
    height, width = SIZE
    latency = Latency(0, 0, 0.04)
    result = FrameResult(S, 0, 0, at_s - 0.04, Clock.ARRIVAL, at_s, width, height, 0, latency, tracks)
    return Shown(result, about, on_air)


def scored(
    places: LiveClip, expression: Expression, *results: Shown, answers: tuple[AnswerReport, ...] = ()
) -> LiveScore:
    return score_played([Played(places, (asked(expression),), results, answers)])


def refusal(after_s: float) -> AnswerReport:
    return AnswerReport(S, Q, 1, 0, "I cannot see it.", None, ASKED_S + after_s)


def test_masks_are_held_against_the_picture_that_is_on_when_they_are_published() -> None:
    late = shown(0.5, block(0), about=0, on_air=1)
    score = scored(clip(0, 50), ONE, late)
    assert score.overall.j == pytest.approx(1 / 3)
    assert score.j_own_picture == 1.0
    assert score.by_kind["kind"].j == score.overall.j


def test_a_perfect_mask_fits_in_j_and_in_f() -> None:
    score = scored(clip(0), ONE, shown(0.5, block(0)))
    assert (score.overall.j_and_f, score.overall.cases, score.unmasked) == (1.0, 1, 0.0)


def test_the_mask_of_another_thing_fits_nothing() -> None:
    assert scored(clip(0), OTHER, shown(0.5, block(0))).overall.j_and_f == 0.0


def test_words_are_judged_from_their_answer_to_the_end_of_their_time() -> None:
    results = [shown(at_s, mask) for at_s, mask in ((0.2, None), (0.4, block(0)), (0.6, None), (3.1, None))]
    score = scored(clip(0), ONE, *results)
    assert (score.overall.cases, score.overall.j) == (2, 0.5)
    assert score.prompt_to_mask_p50_s == pytest.approx(0.4)


def test_patience_with_an_answer_ends() -> None:
    early, late = shown(PATIENCE_S - 0.1, None), shown(PATIENCE_S + 0.1, None)
    score = scored(clip(0), ONE, early, late)
    assert (score.overall.cases, score.overall.j, score.unmasked) == (1, 0.0, 1.0)
    assert score.prompt_to_mask_p50_s is None


def test_a_wrong_refusal_counts_from_when_it_was_said() -> None:
    score = scored(clip(0), ONE, shown(0.2, None), shown(0.4, None), answers=(refusal(0.3),))
    assert (score.overall.cases, score.unmasked) == (1, 1.0)


def test_silence_about_what_is_not_there_is_right_and_a_mask_is_wrong() -> None:
    results = (shown(0.4, None), shown(0.6, None), shown(0.8, None), shown(0.9, block(0)))
    score = scored(clip(0), NOBODY, *results, answers=(refusal(0.3),))
    assert (score.silent, score.overall.cases) == (0.75, 0)
    assert math.isnan(score.unmasked), "that is of words about what is there"


def test_silence_while_a_thing_is_away_is_right_and_a_mask_fits_nothing() -> None:
    results = [
        shown(0.4, block(0), on_air=0),
        shown(0.6, None, on_air=1),
        shown(0.8, block(0), on_air=1),
    ]
    score = scored(clip(0, GONE), ONE, *results)
    assert (score.silent_away, score.overall.cases, score.overall.j) == (0.5, 2, 0.5)


def test_clips_are_counted_together() -> None:
    good = Played(clip(0), (asked(ONE),), (shown(0.5, block(0)),), ())
    bad = Played(clip(0), (asked(OTHER),), (shown(0.5, block(0)),), ())
    score = score_played([good, bad])
    assert (score.clips, score.words, score.overall.j_and_f) == (2, 2, 0.5)
    assert {kind: fit.j for kind, fit in score.by_kind.items()} == {"kind": 1.0, "colour": 0.0}
    assert score.frame_age_p95_s == pytest.approx(0.04)


def test_of_nothing_there_is_no_figure() -> None:
    score = score_played([])
    assert (score.clips, score.words, score.prompt_to_mask_p50_s) == (0, 0, None)
    assert math.isnan(score.overall.j) and math.isnan(score.tracked_fps)
