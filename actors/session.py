"""One stream's line, with no Ray and no network in it: a frame and late answers in, one result out.

`step` and `commit_memory` belong to one thread. Words and answers come from other threads through `set_queries`,
`submit_answers` and `submit_failures`; they are taken in at the start of the next step, so a frame never waits for them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from actors.frame_history import FrameHistory
from actors.keyframe_policy import KeyframePolicy
from actors.query_ledger import QueryBook
from engines.geometry import to_fit
from engines.protocols import Tracker
from streaming.events import AnswerReport, Event, events_between
from streaming.status import QueryStatus
from streaming.vocabulary import (
    Answer,
    Frame,
    FrameResult,
    Keyframe,
    Latency,
    Query,
    QueryId,
    StreamId,
    Track,
)

T = TypeVar("T")

INBOX_CAPACITY = 64
"Answers that wait for the next frame. A stream has few queries and each has one question out at a time."

EARLIER_PX = 448
"Longest side of the pictures from before a keyframe: as much as the published models see of one."


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one frame brought: its result, and what is worth saying beside it."""

    result: FrameResult
    events: tuple[Event, ...]
    answers: tuple[AnswerReport, ...]
    prompt_to_mask_s: tuple[float, ...]
    "One for each query revision that got its first mask on this frame, seconds."


class StreamSession:
    """All that one stream remembers: its tracker's memory, its queries, what was asked and answered."""

    def __init__(
        self,
        stream_id: StreamId,
        tracker: Tracker,
        ask: Callable[[Keyframe], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`ask` takes a keyframe to the grounder and returns at once; `clock` is Unix time in seconds."""
        self._stream_id = stream_id
        self._tracker = tracker
        self._ask = ask
        self._clock = clock
        self._policy = KeyframePolicy()
        self._lookback = FrameHistory()
        self._book = QueryBook()
        self._desired: tuple[Query, ...] = ()
        self._followed: dict[QueryId, Query] = {}
        self._inbox: deque[Answer] = deque(maxlen=INBOX_CAPACITY)
        self._failures: deque[tuple[Query, float]] = deque(maxlen=INBOX_CAPACITY)
        "What will not be answered, and when it was asked."
        self._previous: tuple[Track, ...] = ()

    def set_queries(self, queries: Sequence[Query]) -> None:
        """What shall be followed from the next frame on. Any thread."""
        self._desired = tuple(queries)

    def submit_answers(self, answers: Sequence[Answer]) -> None:
        """Take in the grounder's answers. Any thread."""
        self._inbox.extend(answers)

    def submit_failures(self, queries: Sequence[Query], asked_s: float) -> None:
        """Take in that these questions, as they were asked then, will not be answered. Any thread."""
        self._failures.extend((query, asked_s) for query in queries)

    def query_statuses(self) -> tuple[QueryStatus, ...]:
        """How each query stands. Any thread."""
        return self._book.statuses()

    def reset(self) -> None:
        """Let the tracker forget and ask again; for a tracker that failed. Raises what its reset raises."""
        self._tracker.reset()
        self._policy = KeyframePolicy()
        self._inbox.clear()
        self._failures.clear()
        self._followed = {}

    def step(self, frame: Frame, dropped: int) -> StepReport:
        """Take in what is new, track the frame, ask if it is worth asking.

        `dropped`: frames lost since the last step. Raises what the tracker raises; then call `reset`.
        """
        started_s = self._clock()
        self._follow_desired()
        answers = self._take_answers(started_s)
        tracks = tuple(self._tracker.step(frame, answers))
        tracked_s = self._clock()
        self._ask_if_due(frame, tracks, tracked_s)
        self._remember(frame)
        assembled_s = self._clock()
        firsts, reports = self._book.note(answers, tracks, assembled_s)
        events = events_between(self._previous, tracks, self._stream_id, assembled_s)
        self._previous = tracks
        height, width = frame.size
        result = FrameResult(
            stream_id=self._stream_id,
            frame_index=frame.index,
            pts_s=frame.pts_s,
            captured_s=frame.captured_s,
            clock=frame.clock,
            assembled_s=assembled_s,
            published_s=assembled_s,
            width=width,
            height=height,
            dropped=dropped,
            latency_s=Latency(frame.decode_s, tracked_s - started_s, assembled_s - frame.captured_s),
            tracks=tracks,
        )
        return StepReport(result, events, reports, firsts)

    def commit_memory(self) -> None:
        """Learn from the frame just stepped, once its result is handed on. Raises as `step` does."""
        self._tracker.commit_memory()

    def _follow_desired(self) -> None:
        """Let go of queries that are gone; the tracker hears of new ones by their answers."""
        desired = {query.query_id: query for query in self._desired}
        if desired == self._followed:
            return
        for query_id in self._followed.keys() - desired.keys():
            self._tracker.release(query_id)
        self._followed = desired
        self._policy.set_queries(tuple(desired.values()))
        self._book.set_queries(tuple(desired.values()))

    def _take_answers(self, now_s: float) -> list[Answer]:
        """Answers to the words as they are now; those to removed queries and old revisions are dropped."""
        # One that a newer question of the same words took the place of is no failure: that one is under way.
        failed = [
            query.query_id
            for query, asked_s in _drain(self._failures)
            if self._is_current(query) and self._policy.is_under_way(query.query_id, asked_s)
        ]
        self._policy.failed(failed, now_s)
        self._book.failed(failed)
        answers = [answer for answer in _drain(self._inbox) if self._is_current(answer)]
        for answer in answers:
            self._policy.answered(answer, now_s)
        return answers

    def _is_current(self, said: Query | Answer) -> bool:
        query = self._followed.get(said.query_id)
        return query is not None and query.revision == said.revision

    def _ask_if_due(self, frame: Frame, tracks: tuple[Track, ...], now_s: float) -> None:
        due = self._policy.due(tracks, now_s)
        if due:
            self._tracker.pin(frame.index)
            self._ask(Keyframe(frame, due, now_s, self._lookback.before(frame.pts_s)))

    def _remember(self, frame: Frame) -> None:
        if self._lookback.wants(frame.pts_s):
            self._lookback.keep(to_fit(frame.pixels, EARLIER_PX), frame.pts_s)


def _drain(waiting: deque[T]) -> list[T]:
    """Everything that waits, oldest first; what arrives meanwhile is left for the next time."""
    return [waiting.popleft() for _ in range(len(waiting))]
