"""How well masks fit a live stream: against the picture that is on when they are published. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lab.benchmarks.rates import Flow, quantile
from lab.demo.judge import published_mask
from lab.evaluation.answered_revisions import Promises
from lab.evaluation.live_clips import SIZE, LiveClip
from lab.evaluation.metrics import Fit, Fits, Mean, region_j
from lab.training.language.expressions import Expression
from streaming.events import AnswerReport
from streaming.vocabulary import FrameResult, Query

PATIENCE_S: Final = 1.0
"Words that are not answered by then are judged all the same: nothing is shown for them."


@dataclass(frozen=True, slots=True)
class Asked:
    """Words as they were asked of a live clip."""

    query: Query
    expression: Expression
    until_s: float
    "When they end to be judged, Unix time."


@dataclass(frozen=True, slots=True)
class Shown:
    """A result, and which pictures of the clip it has to do with."""

    result: FrameResult
    about: int
    "The picture that was tracked ..."
    on_air: int
    "... and the one that was on when the result was published."


@dataclass(frozen=True, slots=True)
class Played:
    """All that was heard of one clip."""

    clip: LiveClip
    asked: tuple[Asked, ...]
    shown: tuple[Shown, ...]
    answers: tuple[AnswerReport, ...]


@dataclass(frozen=True, slots=True)
class LiveScore:
    """Words on live streams; shares are 0..1, NaN of no case."""

    clips: int
    words: int
    overall: Fit
    """Of published masks against what is on when they are published, over all results from the answer to the
    words, or the end of patience, on; where neither has a pixel there is nothing to fit."""
    by_kind: dict[str, Fit]
    j_own_picture: float
    "J of the same masks against the picture that they are about: what delay costs is the difference."
    unmasked: float
    "Share of words about what is there that had no mask while they were judged."
    silent: float
    "Share of results without a mask for words about what is not there."
    silent_away: float
    "The same for what is there, but out of sight."
    prompt_to_mask_p50_s: float | None
    tracked_fps: float
    frame_age_p50_s: float | None
    frame_age_p95_s: float | None
    dropped: int


def score_played(played: Sequence[Played]) -> LiveScore:
    """The figures of clips that were played."""
    flows = [_flow(one) for one in played]
    promises = [_promises(one) for one in played]
    tally = _Tally()
    for one, kept in zip(played, promises, strict=True):
        for asked in one.asked:
            tally.add(one.clip, asked, list(_judged(one, asked, kept)))
    waits_s = [wait_s for kept in promises for wait_s in kept.waits_s()]
    ages_s = [shown.result.latency_s.total for one in played for shown in one.shown]
    return LiveScore(
        clips=len(played),
        words=sum(len(one.asked) for one in played),
        overall=tally.overall.fit,
        by_kind={kind: fits.fit for kind, fits in sorted(tally.by_kind.items())},
        j_own_picture=tally.own_picture.value,
        unmasked=tally.unmasked.value,
        silent=tally.silent.value,
        silent_away=tally.silent_away.value,
        prompt_to_mask_p50_s=quantile(waits_s, 0.5),
        tracked_fps=float(np.mean([flow.fps for flow in flows])) if flows else math.nan,
        frame_age_p50_s=quantile(ages_s, 0.5),
        frame_age_p95_s=quantile(ages_s, 0.95),
        dropped=sum(flow.dropped for flow in flows),
    )


@dataclass(slots=True)
class _Tally:
    """Sums over words."""

    overall: Fits = field(default_factory=Fits)
    by_kind: defaultdict[str, Fits] = field(default_factory=lambda: defaultdict(Fits))
    own_picture: Mean = field(default_factory=Mean)
    unmasked: Mean = field(default_factory=Mean)
    silent: Mean = field(default_factory=Mean)
    silent_away: Mean = field(default_factory=Mean)

    def add(self, clip: LiveClip, asked: Asked, judged: Sequence[Shown]) -> None:
        """Take in the results by which one query's words are judged."""
        masked = [self._compare(clip, asked, shown) for shown in judged]
        if asked.expression.referents:
            self.unmasked.add(float(not any(masked)))

    def _compare(self, clip: LiveClip, asked: Asked, shown: Shown) -> bool:
        """Judge one result; whether it has a mask."""
        targets, kind = asked.expression.referents, asked.expression.kind
        found = published_mask(shown.result, asked.query.query_id, SIZE)
        true = clip.mask_of(targets, shown.on_air)
        if not targets:
            self.silent.add(float(not found.any()))
            return bool(found.any())
        if not true.any():
            self.silent_away.add(float(not found.any()))
        if true.any() or found.any():
            self.overall.add(found, true)
            self.by_kind[kind].add(found, true)
            self.own_picture.add(region_j(found, clip.mask_of(targets, shown.about)))
        return bool(found.any())


def _promises(played: Played) -> Promises:
    promises = Promises()
    for asked in played.asked:
        promises.ask(asked.query)
    for answer in played.answers:
        promises.hear(answer)
    for shown in played.shown:
        promises.see(shown.result)
    return promises


def _judged(played: Played, asked: Asked, promises: Promises) -> Iterator[Shown]:
    """Results from the answer, or the end of patience, to the end of the words' window."""
    latest_s = asked.query.accepted_s + PATIENCE_S
    answered_s = promises.answered_s(asked.query)
    from_s = latest_s if answered_s is None else min(answered_s, latest_s)
    return (shown for shown in played.shown if from_s <= shown.result.published_s <= asked.until_s)


def _flow(played: Played) -> Flow:
    flow = Flow()
    for shown in played.shown:
        flow.see(shown.result)
    return flow
