"""Queries on several recorded streams: add them, edit all at once, and measure latencies and rates."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actors.supervisor import Supervisor
from lab.benchmarks.line import has_mask
from lab.benchmarks.process_usage import Usage, cores_between, read_usage
from lab.benchmarks.rates import Interval, IntervalRates, quantile, rates_during, remaining_intervals
from lab.fixtures.published_results import ResultRecorder
from streaming.events import AnswerReport
from streaming.vocabulary import FrameResult, Query, QueryKind, StreamId


@dataclass(frozen=True, slots=True)
class StreamRow:
    """Figures of a stream."""

    stream: str
    fps: float
    "Frames tracked per second, over the whole measurement."
    age_p95_s: float | None
    "From the arrival of a frame's packet to its result's publication."
    dropped: int
    tracks: float
    "Mean number of tracks with a mask."
    answering: IntervalRates
    "While queries were being answered."
    following: IntervalRates
    "The rest of the time."


@dataclass(frozen=True, slots=True)
class LoadRow:
    """Figures of some queries on some streams."""

    name: str
    queries: int
    asked: int
    "Revisions, new queries included."
    answered: int
    "Revisions that the grounder answered; a report of absence is an answer."
    masked: int
    "Revisions that got a mask in time."
    prompt_to_mask_p50_s: float | None
    "From a revision's acceptance to its first mask on a current frame."
    prompt_to_mask_p95_s: float | None
    wait_p95_s: float | None
    "Part of it: in the grounder's queue."
    ground_p50_s: float | None
    "Part of it: grounding a keyframe; of a batch of keyframes, the keyframe's share."
    streams: tuple[StreamRow, ...]
    cores: dict[str, float]
    "Mean number of busy cores by role, other programs last."


@dataclass(frozen=True, slots=True)
class _Start:
    """State at the beginning of a measurement."""

    at_s: float
    usage: Usage
    results: Mapping[StreamId, int]
    "Results recorded by then."


class QueryLoad:
    """Queries on recorded streams, each with one of `texts`; queries of a stream have different texts.

    A revision without a mask after `timeout_s` counts as unanswered.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        recorders: Mapping[StreamId, ResultRecorder],
        texts: Sequence[str],
        timeout_s: float,
    ) -> None:
        self._supervisor = supervisor
        self._recorders = dict(recorders)
        self._texts = texts
        self._timeout_s = timeout_s
        self._queries: list[Query] = []
        self._edits = 0
        self._latencies_s: dict[Query, float | None] = {}
        self._answering: list[Interval] = []
        self._start = self._start_now()

    async def add_queries(self, number: int) -> None:
        """Add queries, spread over the streams; return when each has a mask or its time is over."""
        begun_s, streams = time.time(), list(self._recorders)
        places = [(streams[index % len(streams)], index // len(streams)) for index in range(number)]
        await asyncio.gather(*(self._add(stream_id, self._text(row)) for stream_id, row in places))
        self._answering.append((begun_s, time.time()))

    def remove_stream(self, stream_id: StreamId) -> None:
        """Leave a stream and its queries out of edits and figures from now on."""
        del self._recorders[stream_id]
        self._queries = [query for query in self._queries if query.stream_id != stream_id]

    def start_measuring(self) -> None:
        """Discard what was measured so far."""
        self._latencies_s, self._answering, self._start = {}, [], self._start_now()

    async def edit_queries(self) -> None:
        """Give every query a new text at the same time; return as `add_queries` does."""
        self._edits += 1
        begun_s = time.time()
        rows: dict[StreamId, int] = dict.fromkeys(self._recorders, -1)
        edits = []
        for query in self._queries:
            rows[query.stream_id] += 1
            edits.append(self._edit(query, self._text(rows[query.stream_id])))
        self._queries = list(await asyncio.gather(*edits))
        self._answering.append((begun_s, time.time()))

    def row(self, name: str) -> LoadRow:
        """Return the figures since `start_measuring`."""
        masked_s = [latency_s for latency_s in self._latencies_s.values() if latency_s is not None]
        answers = self._answers()
        whole = (self._start.at_s, time.time())
        return LoadRow(
            name=name,
            queries=len(self._queries),
            asked=len(self._latencies_s),
            answered=len({(answer.query_id, answer.revision) for answer in answers}),
            masked=len(masked_s),
            prompt_to_mask_p50_s=quantile(masked_s, 0.5),
            prompt_to_mask_p95_s=quantile(masked_s, 0.95),
            wait_p95_s=quantile([answer.steps_s.wait for answer in answers], 0.95),
            ground_p50_s=quantile([answer.ground_s for answer in answers], 0.5),
            streams=tuple(
                _stream_row(
                    stream_id, recorder.results[self._start.results[stream_id] :], self._answering, whole
                )
                for stream_id, recorder in self._recorders.items()
            ),
            cores=cores_between(self._start.usage, read_usage()),
        )

    def _start_now(self) -> _Start:
        recorded = {stream_id: len(recorder.results) for stream_id, recorder in self._recorders.items()}
        return _Start(time.time(), read_usage(), recorded)

    def _text(self, row: int) -> str:
        return self._texts[(row + self._edits) % len(self._texts)]

    def _answers(self) -> list[AnswerReport]:
        """Return the answers to measured revisions."""
        asked = {(query.query_id, query.revision) for query in self._latencies_s}
        return [
            answer
            for recorder in self._recorders.values()
            for answer in recorder.answers
            if (answer.query_id, answer.revision) in asked
        ]

    async def _add(self, stream_id: StreamId, text: str) -> None:
        since = len(self._recorders[stream_id].results)
        status = await self._supervisor.add_query(stream_id, text, QueryKind.REFER)
        self._queries.append(status.query)
        await self._record_latency(status.query, since)

    async def _edit(self, query: Query, text: str) -> Query:
        since = len(self._recorders[query.stream_id].results)
        status = await self._supervisor.edit_query(query.query_id, text)
        await self._record_latency(status.query, since)
        return status.query

    async def _record_latency(self, query: Query, since: int) -> None:
        """Wait for the first mask of this revision."""
        recorder = self._recorders[query.stream_id]
        found = await recorder.wait_for(lambda result: has_mask(result, query), since, self._timeout_s)
        self._latencies_s[query] = found.published_s - query.accepted_s if found else None


def _stream_row(
    stream_id: StreamId, results: Sequence[FrameResult], answering: Sequence[Interval], whole: Interval
) -> StreamRow:
    masks = [sum(track.mask is not None for track in result.tracks) for result in results]
    all_rates = rates_during(results, [whole])
    return StreamRow(
        stream=stream_id,
        fps=all_rates.fps,
        age_p95_s=all_rates.age_p95_s,
        dropped=sum(result.dropped for result in results),
        tracks=float(np.mean(masks)) if masks else 0.0,
        answering=rates_during(results, answering),
        following=rates_during(results, remaining_intervals(answering, whole)),
    )
