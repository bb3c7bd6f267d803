"""Score published results of a clip against its ground truth. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.masks import decode_mask
from lab.benchmarks.rates import ResultRates, quantile
from lab.demo.ground_truth import GroundTruth
from lab.evaluation.answered_revisions import AnsweredRevisions
from lab.evaluation.metrics import region_j
from streaming.events import AnswerReport
from streaming.vocabulary import FrameResult, Mask, Query, QueryId


@dataclass(frozen=True, slots=True)
class DemoScore:
    """Figures of a run; the last line of `saccade demo --json`."""

    tracked_fps: float
    "Results per second between the first and the last."
    frame_age_p50_s: float | None
    frame_age_p95_s: float | None
    prompt_to_mask_p50_s: float | None
    prompts_answered: int
    "Query revisions that got a mask."
    prompts: int
    "Query revisions asked; a revision about an absent object gets no mask."
    j_mean: float | None
    "Mean IoU of published and true masks over frames where either has a pixel."
    j_frames: int
    absent_frames: int
    "Frames on which an answered query's referents are not visible, or which has none in the clip."
    absent_silent: float | None
    "Share of those without a published mask."
    results: int
    "Entries read back from Redis."
    dropped: int


class DemoScorer:
    """Takes query revisions, results and answers in order of publication."""

    def __init__(self, truth: GroundTruth) -> None:
        self._truth = truth
        self._answered = AnsweredRevisions()
        self._rates = ResultRates()
        self._js: list[float] = []
        self._absent = self._silent = 0

    def add_query(self, query: Query) -> None:
        """Add a revision that the service accepted."""
        self._answered.add_query(query)

    def add_answer(self, answer: AnswerReport) -> None:
        """Add an answer in words."""
        self._answered.add_answer(answer)

    def add_result(self, result: FrameResult, clip_frame: int | None) -> None:
        """Add a result; clip_frame: the clip's frame that it is about, None where that is unknown."""
        self._rates.add(result)
        self._answered.add_result(result)
        if clip_frame is not None:
            for query in self._answered.answered_by(result.published_s):
                self._compare(result, query, clip_frame)

    def score(self) -> DemoScore:
        """Return the figures so far."""
        latencies_s = self._answered.prompt_to_mask_s()
        return DemoScore(
            tracked_fps=self._rates.fps,
            frame_age_p50_s=self._rates.age_s(0.5),
            frame_age_p95_s=self._rates.age_s(0.95),
            prompt_to_mask_p50_s=quantile(latencies_s, 0.5),
            prompts_answered=len(latencies_s),
            prompts=self._answered.revisions,
            j_mean=float(np.mean(self._js)) if self._js else None,
            j_frames=len(self._js),
            absent_frames=self._absent,
            absent_silent=self._silent / self._absent if self._absent else None,
            results=self._rates.results,
            dropped=self._rates.dropped,
        )

    def _compare(self, result: FrameResult, query: Query, clip_frame: int) -> None:
        if not self._truth.is_known(query.text, clip_frame):
            return
        true = self._truth.mask_of(query.text, clip_frame)
        published = published_mask(result, query.query_id, true.shape)
        if true.any() or published.any():
            self._js.append(region_j(published, true))
        if not true.any():
            self._absent += 1
            self._silent += not published.any()


def published_mask(result: FrameResult, query_id: QueryId, shape: tuple[int, ...]) -> Mask:
    """Return the union of a query's masks in a result, (H, W) bool; empty without masks."""
    masks = [
        decode_mask(track.mask)
        for track in result.tracks
        if track.query_id == query_id and track.mask is not None
    ]
    return np.asarray(np.logical_or.reduce([np.zeros(shape, bool), *masks]), bool)
