"""Queries whose words change, and what came of them; the service behind them: test_load."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from lab.benchmarks.load_queries import Crowd
from lab.evaluation.published_results import Watching
from streaming.events import AnswerReport
from streaming.status import QueryStatus
from streaming.vocabulary import (
    Clock,
    FrameResult,
    GroundSeconds,
    Latency,
    MaskRle,
    Query,
    QueryId,
    QueryKind,
    Region,
    StreamId,
    Track,
    TrackId,
    TrackState,
)

WORDS = ("the car", "the umbrella", "the person")
NEVER = "the ghost"
"Is refused."


class AtOnce:
    """A supervisor whose streams show every query's mask, or refuse it, as soon as it is asked."""

    def __init__(self, *streams: str) -> None:
        self.watchings = {StreamId(name): Watching() for name in streams}
        self.asked: list[Query] = []

    async def add_query(
        self, stream_id: StreamId, text: str, kind: QueryKind, region: Region | None = None
    ) -> QueryStatus:
        number = QueryId(f"q-{len(self.asked)}")
        return self._take(Query(number, stream_id, text, kind, accepted_s=time.time(), region=region))

    async def edit_query(self, query_id: QueryId, text: str) -> QueryStatus:
        known = [query for query in self.asked if query.query_id == query_id][-1]
        return self._take(replace(known, text=text, revision=known.revision + 1, accepted_s=time.time()))

    def _take(self, query: Query) -> QueryStatus:
        self.asked.append(query)
        asyncio.get_running_loop().call_soon(self._answer, query)
        return QueryStatus(query)

    def _answer(self, query: Query) -> None:
        now_s, watching = time.time(), self.watchings[query.stream_id]
        refused = query.text == NEVER
        steps_s = GroundSeconds(wait=0.25)
        presence = None if refused else 0.9
        report = AnswerReport(
            query.stream_id, query.query_id, query.revision, 0, "", presence, now_s, None, 0.5, steps_s
        )
        watching.take(report)
        track = Track(
            TrackId(1),
            query.query_id,
            query.revision,
            "",
            TrackState.ACTIVE,
            1.0,
            None,
            MaskRle((4, 4), "0"),
            0,
        )
        tracks = () if refused else (track,)
        watching.take(
            FrameResult(query.stream_id, 0, 0, 0, Clock.ARRIVAL, now_s, 4, 4, 2, Latency(0, 0, 0.1), tracks)
        )


def crowd(supervisor: AtOnce, *words: str) -> Crowd:
    return Crowd(supervisor, supervisor.watchings, words, patience_s=0.05)  # type: ignore[arg-type]


async def test_queries_are_spread_over_the_streams_each_with_words_of_its_own() -> None:
    supervisor = AtOnce("a", "b")
    await crowd(supervisor, *WORDS).gather(5)
    asked = {name: [query.text for query in supervisor.asked if query.stream_id == name] for name in "ab"}
    assert asked == {"a": list(WORDS), "b": list(WORDS[:2])}


async def test_all_words_change_at_one_moment_and_each_is_waited_for() -> None:
    supervisor = AtOnce("a", "b")
    measured = crowd(supervisor, *WORDS)
    await measured.gather(3)
    before = [query.text for query in supervisor.asked]
    measured.start_measuring()
    await measured.change_words()
    await measured.change_words()
    row = measured.row("all")
    assert (row.queries, row.asked, row.answered, row.masked) == (3, 6, 6, 6)
    assert row.prompt_to_mask_p50_s is not None and 0 <= row.prompt_to_mask_p50_s < 0.05
    assert (row.wait_p95_s, row.ground_p50_s) == (0.25, 0.5)
    for first, *changed in zip(before, supervisor.asked[3:6], supervisor.asked[6:], strict=True):
        assert len({first, *(query.text for query in changed)}) == 3


async def test_a_refusal_is_an_answer_and_no_mask() -> None:
    measured = crowd(AtOnce("a"), NEVER)
    await measured.gather(1)
    row = measured.row("one")
    assert (row.asked, row.answered, row.masked, row.prompt_to_mask_p95_s) == (1, 1, 0, None)


async def test_a_stream_that_was_lost_is_not_asked_or_told_of() -> None:
    supervisor = AtOnce("a", "b")
    measured = crowd(supervisor, *WORDS)
    await measured.gather(4)
    measured.lose(StreamId("b"))
    measured.start_measuring()
    await measured.change_words()
    row = measured.row("without b")
    assert (row.queries, row.asked) == (2, 2)
    assert [(stream.stream, stream.dropped) for stream in row.streams] == [("a", 4)]
    assert {query.stream_id for query in supervisor.asked[4:]} == {"a"}
