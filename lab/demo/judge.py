"""Judges published results of the bundled clip against its truth. Pure; `saccade demo` feeds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.masks import decode_mask
from lab.benchmarks.rates import Flow, quantile
from lab.demo.scene import Truth
from lab.evaluation.answered_revisions import Promises
from lab.evaluation.metrics import region_j
from streaming.events import AnswerReport
from streaming.vocabulary import FrameResult, Mask, Query, QueryId


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run went; the last line of `saccade demo --json`."""

    tracked_fps: float
    "Results per second between the first and the last."
    frame_age_p50_s: float | None
    frame_age_p95_s: float | None
    prompt_to_mask_p50_s: float | None
    prompts_answered: int
    "Query revisions that got a mask."
    prompts: int
    "Query revisions asked; one for what is not there gets no mask."
    j_mean: float | None
    "Mean over frames of the Jaccard index of published and true masks, where either has a pixel."
    j_frames: int
    absent_frames: int
    "Frames on which what an answered query asks for was out of sight, or nowhere in the clip."
    absent_silent: float | None
    "Share of those without a published mask."
    results: int
    "Entries read back from Redis."
    dropped: int


class Judge:
    """Takes results as they come and the revisions of the query as they were asked."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._promises = Promises()
        self._flow = Flow()
        self._jaccards: list[float] = []
        self._absent = self._silent = 0

    def ask(self, query: Query) -> None:
        """Note a revision as the service accepted it."""
        self._promises.ask(query)

    def hear(self, answer: AnswerReport) -> None:
        """Take an answer in words."""
        self._promises.hear(answer)

    def see(self, result: FrameResult, clip_frame: int | None) -> None:
        """Take a result; `clip_frame` is the clip's picture that it is about, None if that is not known."""
        self._flow.see(result)
        self._promises.see(result)
        if clip_frame is not None:
            for query in self._promises.kept_at(result.published_s):
                self._compare(result, query, clip_frame)

    def verdict(self) -> Verdict:
        """The figures so far."""
        waits_s = self._promises.waits_s()
        return Verdict(
            tracked_fps=self._flow.fps,
            frame_age_p50_s=self._flow.age_s(0.5),
            frame_age_p95_s=self._flow.age_s(0.95),
            prompt_to_mask_p50_s=quantile(waits_s, 0.5),
            prompts_answered=len(waits_s),
            prompts=self._promises.asked,
            j_mean=float(np.mean(self._jaccards)) if self._jaccards else None,
            j_frames=len(self._jaccards),
            absent_frames=self._absent,
            absent_silent=self._silent / self._absent if self._absent else None,
            results=self._flow.results,
            dropped=self._flow.dropped,
        )

    def _compare(self, result: FrameResult, query: Query, clip_frame: int) -> None:
        true = self._truth.mask_of(query.text, clip_frame)
        published = published_mask(result, query.query_id, true.shape)
        if true.any() or published.any():
            self._jaccards.append(region_j(published, true))
        if not true.any():
            self._absent += 1
            self._silent += not published.any()


def published_mask(result: FrameResult, query_id: QueryId, shape: tuple[int, ...]) -> Mask:
    """(H, W): everything that a result shows for a query."""
    masks = [
        decode_mask(track.mask)
        for track in result.tracks
        if track.query_id == query_id and track.mask is not None
    ]
    return np.asarray(np.logical_or.reduce([np.zeros(shape, bool), *masks]), bool)
