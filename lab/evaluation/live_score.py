"""Score masks of live streams against the frame that the camera sends when they are published. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lab.benchmarks.rates import ResultRates, quantile
from lab.demo.scorer import published_mask
from lab.evaluation.answered_revisions import AnsweredRevisions
from lab.evaluation.live_clips import LiveClip
from lab.evaluation.metrics import Fit, Fits, Mean, region_j
from lab.training.language.expressions import Expression
from streaming.events import AnswerReport
from streaming.vocabulary import FrameResult, Query

PATIENCE_S: Final = 1.0
"A query that is not answered by then is scored from then on, without masks."


@dataclass(frozen=True, slots=True)
class LiveQuery:
    """A query on a live clip."""

    query: Query
    expression: Expression
    until_s: float
    "End of scoring, Unix time."


@dataclass(frozen=True, slots=True)
class LiveResult:
    """A result with two frames of the clip."""

    result: FrameResult
    tracked_frame: int
    "The frame that the result is about."
    current_frame: int
    "The frame that the camera sent when the result was published."


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A played clip with all that was asked and published."""

    clip: LiveClip
    queries: tuple[LiveQuery, ...]
    results: tuple[LiveResult, ...]
    answers: tuple[AnswerReport, ...]


@dataclass(frozen=True, slots=True)
class LiveScore:
    """Figures of live streams; shares are 0..1, NaN without cases."""

    clips: int
    words: int
    "Queries."
    overall: Fit
    """Of published masks against the current frame's ground truth, over the results from a query's answer (or
    `PATIENCE_S`) on; frames where neither has a pixel are left out."""
    by_kind: dict[str, Fit]
    "The same by kind of expression."
    j_own_picture: float
    "J of the same masks against the tracked frame: the difference is the cost of latency."
    unmasked: float
    "Share of queries about present objects that had no mask while they were scored."
    silent: float
    "Share of results without a mask, of queries about absent objects."
    silent_away: float
    "The same of queries about present objects, over frames on which they are not visible."
    prompt_to_mask_p50_s: float | None
    tracked_fps: float
    frame_age_p50_s: float | None
    frame_age_p95_s: float | None
    dropped: int


def score_live_runs(runs: Sequence[LiveRun]) -> LiveScore:
    """Return the figures of played clips."""
    rates = [_rates(run) for run in runs]
    answered = [_answered_revisions(run) for run in runs]
    sums = _Sums()
    for run, revisions in zip(runs, answered, strict=True):
        for query in run.queries:
            sums.add(run.clip, query, list(_scored_results(run, query, revisions)))
    latencies_s = [latency_s for revisions in answered for latency_s in revisions.prompt_to_mask_s()]
    ages_s = [live.result.latency_s.total for run in runs for live in run.results]
    return LiveScore(
        clips=len(runs),
        words=sum(len(run.queries) for run in runs),
        overall=sums.overall.fit,
        by_kind={kind: fits.fit for kind, fits in sorted(sums.by_kind.items())},
        j_own_picture=sums.tracked_frame.value,
        unmasked=sums.unmasked.value,
        silent=sums.silent.value,
        silent_away=sums.silent_away.value,
        prompt_to_mask_p50_s=quantile(latencies_s, 0.5),
        tracked_fps=float(np.mean([each.fps for each in rates])) if rates else math.nan,
        frame_age_p50_s=quantile(ages_s, 0.5),
        frame_age_p95_s=quantile(ages_s, 0.95),
        dropped=sum(each.dropped for each in rates),
    )


@dataclass(slots=True)
class _Sums:
    """Sums over queries."""

    overall: Fits = field(default_factory=Fits)
    by_kind: defaultdict[str, Fits] = field(default_factory=lambda: defaultdict(Fits))
    tracked_frame: Mean = field(default_factory=Mean)
    unmasked: Mean = field(default_factory=Mean)
    silent: Mean = field(default_factory=Mean)
    silent_away: Mean = field(default_factory=Mean)

    def add(self, clip: LiveClip, query: LiveQuery, results: Sequence[LiveResult]) -> None:
        """Add the results that a query is scored by."""
        masked = [self._compare(clip, query, live) for live in results]
        if query.expression.referents:
            self.unmasked.add(float(not any(masked)))

    def _compare(self, clip: LiveClip, query: LiveQuery, live: LiveResult) -> bool:
        """Add a result; return whether it has a mask of the query."""
        referents, kind = query.expression.referents, query.expression.kind
        found = published_mask(live.result, query.query.query_id, clip.size)
        true = clip.mask_of(referents, live.current_frame)
        if not referents:
            self.silent.add(float(not found.any()))
            return bool(found.any())
        if not true.any():
            self.silent_away.add(float(not found.any()))
        if true.any() or found.any():
            self.overall.add(found, true)
            self.by_kind[kind].add(found, true)
            self.tracked_frame.add(region_j(found, clip.mask_of(referents, live.tracked_frame)))
        return bool(found.any())


def _answered_revisions(run: LiveRun) -> AnsweredRevisions:
    answered = AnsweredRevisions()
    for query in run.queries:
        answered.add_query(query.query)
    for answer in run.answers:
        answered.add_answer(answer)
    for live in run.results:
        answered.add_result(live.result)
    return answered


def _scored_results(run: LiveRun, query: LiveQuery, answered: AnsweredRevisions) -> Iterator[LiveResult]:
    """Yield the results from the query's answer, or the end of patience, to the end of its window."""
    latest_s = query.query.accepted_s + PATIENCE_S
    answered_s = answered.answered_s(query.query)
    from_s = latest_s if answered_s is None else min(answered_s, latest_s)
    return (live for live in run.results if from_s <= live.result.published_s <= query.until_s)


def _rates(run: LiveRun) -> ResultRates:
    rates = ResultRates()
    for live in run.results:
        rates.add(live.result)
    return rates
