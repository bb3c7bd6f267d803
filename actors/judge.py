"""Judges published results of the bundled clip against its truth. Pure; `saccade demo` feeds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from actors.demo_scene import Truth
from engines.masks import decode_mask
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
        self._asked: dict[tuple[QueryId, int], Query] = {}
        self._masked_s: dict[tuple[QueryId, int], float] = {}
        "When a revision had its first mask."
        self._answered_s: dict[tuple[QueryId, int], float] = {}
        "When it had that, or was refused: from then on it can be judged."
        self._ages_s: list[float] = []
        self._jaccards: list[float] = []
        self._absent = self._silent = self._dropped = 0
        self._first_s = self._last_s = 0.0

    def ask(self, query: Query) -> None:
        """Note a revision as the service accepted it."""
        self._asked[query.query_id, query.revision] = query

    def hear(self, answer: AnswerReport) -> None:
        """Take an answer in words: a refusal is one, and promises that nothing is published."""
        if answer.presence is None:
            self._answered_s.setdefault((answer.query_id, answer.revision), answer.at_s)

    def see(self, result: FrameResult, clip_frame: int | None) -> None:
        """Take a result; `clip_frame` is the clip's picture that it is about, None if that is not known."""
        self._first_s = self._first_s or result.published_s
        self._last_s = result.published_s
        self._ages_s.append(result.latency_s.total)
        self._dropped += result.dropped
        for track in result.tracks:
            if track.mask is not None:
                for first_s in (self._masked_s, self._answered_s):
                    first_s.setdefault((track.query_id, track.revision), result.published_s)
        if clip_frame is not None:
            self._compare(result, clip_frame)

    def verdict(self) -> Verdict:
        """The figures so far."""
        count = len(self._ages_s)
        span_s = self._last_s - self._first_s
        waits_s = [
            at_s - self._asked[revision].accepted_s
            for revision, at_s in self._masked_s.items()
            if revision in self._asked
        ]
        return Verdict(
            tracked_fps=(count - 1) / span_s if span_s > 0 else 0.0,
            frame_age_p50_s=_quantile(self._ages_s, 0.5),
            frame_age_p95_s=_quantile(self._ages_s, 0.95),
            prompt_to_mask_p50_s=_quantile(waits_s, 0.5),
            prompts_answered=len(waits_s),
            prompts=len(self._asked),
            j_mean=float(np.mean(self._jaccards)) if self._jaccards else None,
            j_frames=len(self._jaccards),
            absent_frames=self._absent,
            absent_silent=self._silent / self._absent if self._absent else None,
            results=count,
            dropped=self._dropped,
        )

    def _compare(self, result: FrameResult, clip_frame: int) -> None:
        """Each query by the newest revision answered by then: before that, nobody could publish it."""
        newest: dict[QueryId, int] = {}
        for (query_id, revision), at_s in self._answered_s.items():
            if at_s <= result.published_s:
                newest[query_id] = max(revision, newest.get(query_id, 0))
        for query_id, revision in newest.items():
            query = self._asked.get((query_id, revision))
            if query is None:
                continue
            true = self._truth.mask_of(query.text, clip_frame)
            published = _union(result, query_id, true.shape)
            if true.any() or published.any():
                self._jaccards.append(float((true & published).sum() / (true | published).sum()))
            if not true.any():
                self._absent += 1
                self._silent += not published.any()


def _union(result: FrameResult, query_id: QueryId, shape: tuple[int, ...]) -> Mask:
    masks = [
        decode_mask(track.mask)
        for track in result.tracks
        if track.query_id == query_id and track.mask is not None
    ]
    return np.asarray(np.logical_or.reduce([np.zeros(shape, bool), *masks]), bool)


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None
