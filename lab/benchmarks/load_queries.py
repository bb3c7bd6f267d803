"""Some queries on some streams whose words change, and what came of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from actors.supervisor import Supervisor
from lab.benchmarks.cpu_usage import Usage, cores_between, look
from lab.benchmarks.line import shows
from lab.benchmarks.pace import Pace, Span, between, pace
from lab.benchmarks.rates import quantile
from lab.evaluation.published_results import Watching
from streaming.events import AnswerReport
from streaming.vocabulary import FrameResult, Query, QueryKind, StreamId


@dataclass(frozen=True, slots=True)
class StreamRow:
    """What one stream had of it."""

    stream: str
    fps: float
    "Frames tracked a second, all the time."
    age_p95_s: float | None
    "From the arrival of a picture's packet to its result's publication."
    dropped: int
    tracks: float
    "Mean number of tracks with a mask."
    answering: Pace
    "While words were being answered."
    following: Pace
    "In between."


@dataclass(frozen=True, slots=True)
class CrowdRow:
    """Some queries on some streams."""

    name: str
    queries: int
    asked: int
    "New words for a query."
    answered: int
    "Words that the grounder answered, be it with a refusal."
    masked: int
    "Words that got a mask in time."
    prompt_to_mask_p50_s: float | None
    "From the acceptance of the words to their first mask on a current frame."
    prompt_to_mask_p95_s: float | None
    wait_p95_s: float | None
    "Of that: in the grounder's queue."
    ground_p50_s: float | None
    "Of that: the grounder's work on a keyframe, or its share where it worked on several together."
    streams: tuple[StreamRow, ...]
    cores: dict[str, float]
    "Mean number of cores that each part kept busy meanwhile, other programs last."


@dataclass(frozen=True, slots=True)
class _Begun:
    """When a measurement began, and what had been read by then."""

    at_s: float
    usage: Usage
    results: Mapping[StreamId, int]


class Crowd:
    """Queries on watched streams, each about one of `words`; every stream's are about different ones.

    Words without a mask within `patience_s` are given up.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        watchings: Mapping[StreamId, Watching],
        words: Sequence[str],
        patience_s: float,
    ) -> None:
        self._supervisor = supervisor
        self._watchings = dict(watchings)
        self._words = words
        self._patience_s = patience_s
        self._queries: list[Query] = []
        self._turn = 0
        self._waits_s: dict[Query, float | None] = {}
        self._spans: list[Span] = []
        self._begun = self._begin()

    async def gather(self, number: int) -> None:
        """Ask so many queries, spread over the streams; returns when they have masks or had time enough."""
        begun_s, streams = time.time(), list(self._watchings)
        places = [(streams[index % len(streams)], index // len(streams)) for index in range(number)]
        await asyncio.gather(*(self._add(stream_id, self._word(row)) for stream_id, row in places))
        self._spans.append((begun_s, time.time()))

    def lose(self, stream_id: StreamId) -> None:
        """Ask nothing more about a stream, and tell nothing of it."""
        del self._watchings[stream_id]
        self._queries = [query for query in self._queries if query.stream_id != stream_id]

    def start_measuring(self) -> None:
        """Forget what was measured until now."""
        self._waits_s, self._spans, self._begun = {}, [], self._begin()

    async def change_words(self) -> None:
        """Give every query new words at one moment; returns as `gather`."""
        self._turn += 1
        begun_s = time.time()
        rows: dict[StreamId, int] = dict.fromkeys(self._watchings, -1)
        edits = []
        for query in self._queries:
            rows[query.stream_id] += 1
            edits.append(self._edit(query, self._word(rows[query.stream_id])))
        self._queries = list(await asyncio.gather(*edits))
        self._spans.append((begun_s, time.time()))

    def row(self, name: str) -> CrowdRow:
        """What was measured."""
        masked_s = [wait_s for wait_s in self._waits_s.values() if wait_s is not None]
        answers = self._answers()
        whole = (self._begun.at_s, time.time())
        return CrowdRow(
            name=name,
            queries=len(self._queries),
            asked=len(self._waits_s),
            answered=len({(answer.query_id, answer.revision) for answer in answers}),
            masked=len(masked_s),
            prompt_to_mask_p50_s=quantile(masked_s, 0.5),
            prompt_to_mask_p95_s=quantile(masked_s, 0.95),
            wait_p95_s=quantile([answer.steps_s.wait for answer in answers], 0.95),
            ground_p50_s=quantile([answer.ground_s for answer in answers], 0.5),
            streams=tuple(
                _stream_row(stream_id, watching.results[self._begun.results[stream_id] :], self._spans, whole)
                for stream_id, watching in self._watchings.items()
            ),
            cores=cores_between(self._begun.usage, look()),
        )

    def _begin(self) -> _Begun:
        read = {stream_id: len(watching.results) for stream_id, watching in self._watchings.items()}
        return _Begun(time.time(), look(), read)

    def _word(self, row: int) -> str:
        return self._words[(row + self._turn) % len(self._words)]

    def _answers(self) -> list[AnswerReport]:
        """To the words that were asked."""
        asked = {(query.query_id, query.revision) for query in self._waits_s}
        return [
            answer
            for watching in self._watchings.values()
            for answer in watching.answers
            if (answer.query_id, answer.revision) in asked
        ]

    async def _add(self, stream_id: StreamId, text: str) -> None:
        since = len(self._watchings[stream_id].results)
        status = await self._supervisor.add_query(stream_id, text, QueryKind.REFER)
        self._queries.append(status.query)
        await self._wait(status.query, since)

    async def _edit(self, query: Query, text: str) -> Query:
        since = len(self._watchings[query.stream_id].results)
        status = await self._supervisor.edit_query(query.query_id, text)
        await self._wait(status.query, since)
        return status.query

    async def _wait(self, query: Query, since: int) -> None:
        """For the first mask of these very words."""
        watching = self._watchings[query.stream_id]
        found = await watching.first(lambda result: shows(result, query), since, self._patience_s)
        self._waits_s[query] = found.published_s - query.accepted_s if found else None


def _stream_row(
    stream_id: StreamId, results: Sequence[FrameResult], spans: Sequence[Span], whole: Span
) -> StreamRow:
    masks = [sum(track.mask is not None for track in result.tracks) for result in results]
    all_the_time = pace(results, [whole])
    return StreamRow(
        stream=stream_id,
        fps=all_the_time.fps,
        age_p95_s=all_the_time.age_p95_s,
        dropped=sum(result.dropped for result in results),
        tracks=float(np.mean(masks)) if masks else 0.0,
        answering=pace(results, spans),
        following=pace(results, between(spans, whole)),
    )
