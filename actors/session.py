"""One stream: a frame and late answers in, one result out. No Ray, no network.

`step`, `commit_memory` and `reset` belong to one thread. Queries and answers come from other threads through
`set_queries`, `submit_answers` and `submit_failures`; the next step takes them in, so a frame never waits for
them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from actors.frame_history import FrameHistory
from actors.keyframe_policy import due_queries
from actors.query_ledger import QueryLedger
from actors.resumption import Resumption
from actors.stream_snapshot import StreamRecord, StreamSnapshot
from engines.geometry import to_fit
from engines.protocols import Tracker
from streaming.errors import InvalidMessage, LimitReached, TracksLost
from streaming.events import AnswerReport, Event, events_between
from streaming.moment import Moment, StoredMoment
from streaming.status import QueryStatus
from streaming.vocabulary import (
    Answer,
    Frame,
    FrameResult,
    Keyframe,
    Latency,
    Query,
    StreamId,
    Track,
    TrackState,
)

T = TypeVar("T")

INBOX_CAPACITY = 64
"Answers that wait for the next frame. A stream has few queries, each with at most one pending question."

EARLIER_PX = 448
"Longest side of the earlier frames of a keyframe: the image size of the published models."


@dataclass(frozen=True, slots=True)
class StepReport:
    """The result of one frame, and what is published beside it."""

    result: FrameResult
    events: tuple[Event, ...]
    answers: tuple[AnswerReport, ...]
    prompt_to_mask_s: tuple[float, ...]
    "One for each query revision that got its first mask on this frame, seconds."


class StreamSession:
    """One stream's tracker, query ledger and frame history."""

    def __init__(
        self,
        stream_id: StreamId,
        tracker: Tracker,
        ask: Callable[[Keyframe], None],
        clock: Callable[[], Moment] = Moment.now,
    ) -> None:
        """`ask` sends a keyframe to the grounder and returns at once."""
        self._stream_id = stream_id
        self._tracker = tracker
        self._ask = ask
        self._clock = clock
        self._ledger = QueryLedger()
        self._history = FrameHistory()
        self._new_queries: deque[tuple[tuple[Query, ...], Moment]] = deque(maxlen=1)
        """Queries that the next step takes in, and when they came; the newest replaces those not taken in
        yet."""
        self._inbox: deque[Answer] = deque(maxlen=INBOX_CAPACITY)
        self._failures: deque[tuple[Query, float]] = deque(maxlen=INBOX_CAPACITY)
        "Questions that failed: the query and when it was asked, until the next step takes them in."
        self._previous: tuple[Track, ...] = ()
        self._planned_objects = 0
        self._epoch = 0
        self._next_index = 0
        self._stored: Hashable = None
        "Of the last snapshot: what would make another one."

    def resume(self, resumption: Resumption) -> None:
        """Go on with a stream that was hosted before, before the first step.

        Raises TracksLost where the tracks cannot be restored; everything else is taken over all the same.
        """
        now = self._clock()
        self._epoch, self._next_index = resumption.epoch, resumption.first_index
        self._previous = resumption.previous
        self._ledger.restore(resumption.queries, now)
        self._tracker.skip_ids(resumption.next_id)
        problem = resumption.problem
        if resumption.tracker is not None:
            try:
                self._tracker.restore(resumption.tracker)
            except (InvalidMessage, LimitReached) as exc:
                problem = exc.message
        if problem:
            raise TracksLost(
                f"Tracks could not be restored. {problem}", remedy="Objects are found again, with new ids."
            )

    def snapshot(self) -> StreamSnapshot | None:
        """Return what another process needs to go on after the frame just stepped; None: as the last time."""
        queries = self._ledger.records()
        stored = (self._epoch, self._tracker.changes, queries)
        if stored == self._stored:
            return None
        self._stored = stored
        tracker = self._tracker.snapshot()
        record = StreamRecord(
            self._stream_id,
            self._epoch,
            self._next_index,
            tracker.next_id,
            StoredMoment.now(),
            queries,
        )
        return StreamSnapshot(record, tracker)

    @property
    def planned_objects(self) -> int:
        """Objects to track in the present or last step, and masks of the answers taken in. Any thread."""
        return self._planned_objects

    def set_queries(self, queries: Sequence[Query]) -> None:
        """Replace the stream's queries, from the next frame on. Any thread."""
        self._new_queries.append((tuple(queries), self._clock()))

    def submit_answers(self, answers: Sequence[Answer]) -> None:
        """Queue the grounder's answers for the next step; the oldest beyond `INBOX_CAPACITY` are dropped.

        Any thread.
        """
        self._inbox.extend(answers)

    def submit_failures(self, queries: Sequence[Query], asked_s: float) -> None:
        """Queue for the next step that the questions asked at `asked_s` will not be answered. Any thread."""
        self._failures.extend((query, asked_s) for query in queries)

    def query_statuses(self) -> tuple[QueryStatus, ...]:
        """Return the status of each query. Any thread."""
        return self._ledger.statuses()

    def reset(self) -> None:
        """Clear the tracker's memory and ask every query again, after a step raised. Raises what its reset
        raises.
        """
        self._tracker.reset()
        self._inbox.clear()
        self._failures.clear()
        self._ledger.reset()

    def step(self, frame: Frame, dropped: int) -> StepReport:
        """Take in new queries and answers, track the frame, send a keyframe if queries are due.

        `dropped`: frames lost since the last step. Raises what the tracker raises; then call `reset`.
        """
        started_s = self._clock().monotonic_s
        self._take_queries()
        answers = self._take_answers(started_s)
        masks = sum(len(answer.prompts) for answer in answers)
        self._planned_objects = len(live_tracks(self._previous)) + masks
        tracks = tuple(self._tracker.step(frame, answers))
        tracked_s = self._clock().monotonic_s
        self._ledger.record_tracks(tracks)
        self._ask_if_due(frame, tracked_s)
        self._store_frame(frame)
        assembled = self._clock()
        assembled_s = assembled.wall_s
        firsts, reports = self._ledger.report(answers, tracks, assembled)
        events = events_between(self._previous, tracks, self._stream_id, assembled_s, self._epoch)
        self._previous, self._next_index = tracks, frame.index + 1
        height, width = frame.size
        result = FrameResult(
            stream_id=self._stream_id,
            frame_index=frame.index,
            epoch=self._epoch,
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
        """Encode the memory of the frame just stepped, once its result is published. Raises as `step`
        does."""
        self._tracker.commit_memory()

    def _take_queries(self) -> None:
        """Release the tracks of removed queries; new queries get tracks by their answers."""
        for queries, received in _drain(self._new_queries):
            for query_id in self._ledger.set_queries(queries, received):
                self._tracker.release(query_id)

    def _take_answers(self, now_s: float) -> list[Answer]:
        """Return the answers to present revisions; those to removed queries and old revisions are dropped."""
        for query, asked_s in _drain(self._failures):
            # A question that a newer one of the same revision replaced has not failed: the newer is pending.
            self._ledger.record_failure(query, asked_s, now_s)
        answers = [answer for answer in _drain(self._inbox) if self._ledger.is_current(answer)]
        for answer in answers:
            self._ledger.record_answer(answer, now_s)
        return answers

    def _ask_if_due(self, frame: Frame, now_s: float) -> None:
        due = due_queries(self._ledger.entries, now_s)
        if due:
            self._ledger.record_asked(due, now_s)
            self._tracker.pin(frame.index)
            self._ask(Keyframe(frame, due, now_s, self._history.before(frame.pts_s)))

    def _store_frame(self, frame: Frame) -> None:
        if self._history.is_due(frame.pts_s):
            self._history.add(to_fit(frame.pixels, EARLIER_PX), frame.pts_s)


def live_tracks(tracks: Sequence[Track]) -> list[Track]:
    """Return the tracks that have not ended."""
    return [track for track in tracks if track.state is not TrackState.ENDED]


def _drain(queue: deque[T]) -> list[T]:
    """Take everything that is queued, oldest first; what arrives meanwhile is left for the next time."""
    return [queue.popleft() for _ in range(len(queue))]
