"""The one record of a stream's queries: what is asked, what was answered, what users see of it. Pure.

An entry describes one revision of one query. `keyframe_policy.py` decides from the entries which queries the
grounder is asked next; `entry.status` is what REST and the command line show. Times come in as arguments and
are of the monotonic clock, seconds; only stamps are of the wall clock.

A question is one query on one keyframe. At most one question of a query is pending; a newer one replaces it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from streaming.events import AnswerReport, answer_report
from streaming.moment import Moment
from streaming.status import QueryState, QueryStatus
from streaming.vocabulary import Answer, Query, QueryId, QueryKind, Track, TrackState

VISIBLE = frozenset({TrackState.TENTATIVE, TrackState.ACTIVE})


@dataclass(slots=True)
class QueryEntry:
    """What is recorded of one revision of a query."""

    status: QueryStatus
    "The query and its state as users see it. Replaced whole, so that any thread may read it."
    accepted_s: float
    "When the service accepted this revision, on the monotonic clock here."
    asked_s: float | None = None
    "When the pending question was asked; None: none is pending."
    answered_s: float | None = None
    "When the last answer was taken in; None: this revision has no answer since the last `reset`."
    failed_s: float | None = None
    "When the last question failed."
    misses: int = 0
    "Questions answered or failed in a row without all objects of the query visible since."
    ground_s: float = 0.0
    "How long the grounder worked on the last answer, also of an earlier revision, seconds."
    is_visible: bool = False
    "The query has tracks and all of them are visible on the newest frame."
    reported_text: str | None = None
    "The last answer text that was reported: the same text again is not reported."

    @property
    def query(self) -> Query:
        """The query, with its revision."""
        return self.status.query

    @property
    def closed_s(self) -> float | None:
        """When the last question was answered or failed; None: no question was."""
        return max((at_s for at_s in (self.answered_s, self.failed_s) if at_s is not None), default=None)


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """What another process needs of an entry to continue it."""

    status: QueryStatus
    is_answered: bool
    ground_s: float
    reported_text: str | None


class QueryLedger:
    """The entries of one stream. One thread writes; `statuses` may be called from any."""

    def __init__(self) -> None:
        self._entries: dict[QueryId, QueryEntry] = {}

    @property
    def entries(self) -> Collection[QueryEntry]:
        """One entry for each live query, in the order the queries were added."""
        return self._entries.values()

    def statuses(self) -> tuple[QueryStatus, ...]:
        """Return the status of every query, in the order the queries were added. Any thread."""
        return tuple(entry.status for entry in tuple(self._entries.values()))

    def records(self) -> tuple[LedgerRecord, ...]:
        """Return what `restore` takes."""
        return tuple(
            LedgerRecord(entry.status, entry.answered_s is not None, entry.ground_s, entry.reported_text)
            for entry in self._entries.values()
        )

    def restore(self, records: Sequence[LedgerRecord], now: Moment) -> None:
        """Replace the entries by those of another process, before `set_queries`.

        Every `refer` is asked again at once: its objects may have moved. A text that has an answer is not.
        """
        self._entries = {record.status.query.query_id: _restored(record, now) for record in records}

    def set_queries(self, queries: Sequence[Query], now: Moment) -> tuple[QueryId, ...]:
        """Replace the live queries, received `now`; return the ids of those removed.

        New queries and new revisions start with an empty entry, the others keep theirs.
        """
        known = self._entries
        self._entries = {
            query.query_id: _carried_over(known.get(query.query_id), query, now) for query in queries
        }
        return tuple(query_id for query_id in known if query_id not in self._entries)

    def is_current(self, revised: Query | Answer) -> bool:
        """Return whether this query, or the query this answers, is live in this revision."""
        entry = self._entries.get(revised.query_id)
        return entry is not None and entry.query.revision == revised.revision

    def is_pending(self, query_id: QueryId, asked_s: float) -> bool:
        """Return whether the question asked at `asked_s` is the pending one of the query."""
        entry = self._entries.get(query_id)
        return entry is not None and entry.asked_s == asked_s

    def record_asked(self, queries: Sequence[Query], now_s: float) -> None:
        """Record a question for each query; it replaces the pending one."""
        for query in queries:
            self._entries[query.query_id].asked_s = now_s

    def record_answer(self, answer: Answer, now_s: float) -> None:
        """Record that an answer was taken in. An answer to another revision is ignored."""
        if not self.is_current(answer):
            return
        entry = self._entries[answer.query_id]
        entry.asked_s, entry.answered_s, entry.ground_s = None, now_s, answer.ground_s
        entry.misses += 1

    def record_failure(self, query: Query, asked_s: float, now_s: float) -> None:
        """Record that a question will not be answered.

        Ignored unless it is the pending question of the query's present revision. A query that is being
        tracked, or has an answer, keeps that state.
        """
        if not self.is_current(query) or not self.is_pending(query.query_id, asked_s):
            return
        entry = self._entries[query.query_id]
        entry.asked_s, entry.failed_s = None, now_s
        entry.misses += 1
        if entry.status.state is QueryState.PENDING:
            entry.status = replace(entry.status, state=QueryState.FAILED)

    def record_tracks(self, tracks: Sequence[Track]) -> None:
        """Record which queries have all their objects visible on this frame."""
        for query_id, entry in self._entries.items():
            states = [
                track.state
                for track in tracks
                if track.query_id == query_id and track.state is not TrackState.ENDED
            ]
            entry.is_visible = bool(states) and all(state in VISIBLE for state in states)
            if entry.is_visible:
                entry.misses = 0

    def report(
        self, answers: Sequence[Answer], tracks: Sequence[Track], now: Moment
    ) -> tuple[tuple[float, ...], tuple[AnswerReport, ...]]:
        """Update the statuses with a frame's answers, all of present revisions, and tracks.

        Return the prompt-to-mask times, in seconds, of the revisions that got their first mask on this frame,
        and the answers to publish: those with a new text, and those that brought a first mask.
        """
        firsts = {
            query_id: max(0.0, now.monotonic_s - entry.accepted_s)
            for query_id, entry in self._entries.items()
            if entry.status.prompt_to_mask_s is None and _has_mask(entry.query, tracks)
        }
        reports = []
        for answer in answers:
            entry = self._entries[answer.query_id]
            report = answer_report(answer, now.wall_s, firsts.get(answer.query_id))
            if entry.reported_text != answer.text or answer.query_id in firsts:
                reports.append(report)
            entry.reported_text = answer.text
            entry.status = _answered(entry.status, report, bool(answer.prompts))
        for query_id, seconds in firsts.items():
            entry = self._entries[query_id]
            entry.status = replace(entry.status, prompt_to_mask_s=seconds, state=QueryState.FOLLOWING)
        return tuple(firsts.values()), tuple(reports)

    def reset(self) -> None:
        """Forget all questions, after a tracker lost its memory: every query is asked again. Statuses
        stay."""
        for entry in self._entries.values():
            entry.asked_s = entry.answered_s = entry.failed_s = None
            entry.misses, entry.ground_s, entry.is_visible = 0, 0.0, False


def _new_entry(status: QueryStatus, now: Moment) -> QueryEntry:
    """Return an empty entry. Its age crosses processes by the wall clock, once, when it is received."""
    age_s = max(0.0, now.wall_s - status.query.accepted_s)
    return QueryEntry(status, now.monotonic_s - age_s)


def _restored(record: LedgerRecord, now: Moment) -> QueryEntry:
    entry = _new_entry(record.status, now)
    entry.ground_s, entry.reported_text = record.ground_s, record.reported_text
    if record.is_answered and record.status.query.kind is not QueryKind.REFER:
        entry.answered_s = now.monotonic_s
    return entry


def _carried_over(entry: QueryEntry | None, query: Query, now: Moment) -> QueryEntry:
    if entry is not None and entry.query == query:
        return entry
    new = _new_entry(QueryStatus(query), now)
    new.ground_s = 0.0 if entry is None else entry.ground_s
    return new


def _answered(status: QueryStatus, report: AnswerReport, found: bool) -> QueryStatus:
    if status.query.kind is not QueryKind.REFER:
        state = QueryState.ANSWERED
    else:
        state = QueryState.FOLLOWING if found else QueryState.ABSENT
    return replace(status, state=state, answer=report.text, presence=report.presence)


def _has_mask(query: Query, tracks: Sequence[Track]) -> bool:
    return any(
        track.query_id == query.query_id and track.revision == query.revision and track.mask is not None
        for track in tracks
    )
