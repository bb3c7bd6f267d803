"""Adding and editing queries under measurement; test_load runs them on the real service."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from lab.benchmarks.load_queries import QueryLoad
from lab.fixtures.published_results import ResultRecorder
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

TEXTS = ("the car", "the umbrella", "the person")
ABSENT = "the ghost"
"Reported absent."


class InstantSupervisor:
    """A supervisor whose streams publish every revision's mask, or report its absence, at once."""

    def __init__(self, *streams: str) -> None:
        self.recorders = {StreamId(name): ResultRecorder() for name in streams}
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
        now_s, recorder = time.time(), self.recorders[query.stream_id]
        absent = query.text == ABSENT
        steps_s = GroundSeconds(wait=0.25)
        presence = None if absent else 0.9
        report = AnswerReport(
            query.stream_id, query.query_id, query.revision, 0, "", presence, now_s, None, 0.5, steps_s
        )
        recorder.add(report)
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
        tracks = () if absent else (track,)
        recorder.add(
            FrameResult(query.stream_id, 0, 0, 0, Clock.ARRIVAL, now_s, 4, 4, 2, Latency(0, 0, 0.1), tracks)
        )


def query_load(supervisor: InstantSupervisor, *words: str) -> QueryLoad:
    return QueryLoad(supervisor, supervisor.recorders, words, timeout_s=0.05)  # type: ignore[arg-type]


async def test_queries_are_spread_over_the_streams_each_with_another_text() -> None:
    supervisor = InstantSupervisor("a", "b")
    await query_load(supervisor, *TEXTS).add_queries(5)
    asked = {name: [query.text for query in supervisor.asked if query.stream_id == name] for name in "ab"}
    assert asked == {"a": list(TEXTS), "b": list(TEXTS[:2])}


async def test_all_queries_are_edited_at_once_and_each_revision_is_measured() -> None:
    supervisor = InstantSupervisor("a", "b")
    measured = query_load(supervisor, *TEXTS)
    await measured.add_queries(3)
    before = [query.text for query in supervisor.asked]
    measured.start_measuring()
    await measured.edit_queries()
    await measured.edit_queries()
    row = measured.row("all")
    assert (row.queries, row.asked, row.answered, row.masked) == (3, 6, 6, 6)
    assert row.prompt_to_mask_p50_s is not None and 0 <= row.prompt_to_mask_p50_s < 0.05
    assert (row.wait_p95_s, row.ground_p50_s) == (0.25, 0.5)
    for first, *changed in zip(before, supervisor.asked[3:6], supervisor.asked[6:], strict=True):
        assert len({first, *(query.text for query in changed)}) == 3


async def test_a_report_of_absence_is_an_answer_without_a_mask() -> None:
    measured = query_load(InstantSupervisor("a"), ABSENT)
    await measured.add_queries(1)
    row = measured.row("one")
    assert (row.asked, row.answered, row.masked, row.prompt_to_mask_p95_s) == (1, 1, 0, None)


async def test_a_removed_stream_is_neither_edited_nor_reported() -> None:
    supervisor = InstantSupervisor("a", "b")
    measured = query_load(supervisor, *TEXTS)
    await measured.add_queries(4)
    measured.remove_stream(StreamId("b"))
    measured.start_measuring()
    await measured.edit_queries()
    row = measured.row("without b")
    assert (row.queries, row.asked) == (2, 2)
    assert [(stream.stream, stream.dropped) for stream in row.streams] == [("a", 4)]
    assert {query.stream_id for query in supervisor.asked[4:]} == {"a"}
