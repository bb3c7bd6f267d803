"""Tracks when each query revision was first answered; earlier frames are not scored."""

from __future__ import annotations

from streaming.events import AnswerReport
from streaming.vocabulary import FrameResult, Query, QueryId

_Revision = tuple[QueryId, int]


class AnsweredRevisions:
    """Takes query revisions as the service accepted them, and results and answers in order of publication.

    A revision is answered by its first published mask, or by the report that the object is absent: from then
    on no mask is the right result.
    """

    def __init__(self) -> None:
        self._queries: dict[_Revision, Query] = {}
        self._masked_s: dict[_Revision, float] = {}
        self._answered_s: dict[_Revision, float] = {}

    def add_query(self, query: Query) -> None:
        """Add a revision that the service accepted."""
        self._queries[query.query_id, query.revision] = query

    def add_answer(self, answer: AnswerReport) -> None:
        """Add an answer; only a report of absence counts, other answers are counted by their masks."""
        if answer.presence is None:
            self._answered_s.setdefault((answer.query_id, answer.revision), answer.at_s)

    def add_result(self, result: FrameResult) -> None:
        """Add a published result."""
        for track in result.tracks:
            if track.mask is not None:
                for first_s in (self._masked_s, self._answered_s):
                    first_s.setdefault((track.query_id, track.revision), result.published_s)

    @property
    def revisions(self) -> int:
        """Number of revisions added."""
        return len(self._queries)

    def answered_s(self, query: Query) -> float | None:
        """Return when this revision was answered (Unix time); None if it was not."""
        return self._answered_s.get((query.query_id, query.revision))

    def prompt_to_mask_s(self) -> list[float]:
        """Return the seconds from acceptance to the first mask, of every revision that has a mask."""
        return [
            at_s - self._queries[revision].accepted_s
            for revision, at_s in self._masked_s.items()
            if revision in self._queries
        ]

    def answered_by(self, time_s: float) -> list[Query]:
        """Return each query's newest revision that was answered by `time_s`, if it was added here."""
        newest: dict[QueryId, int] = {}
        for (query_id, revision), answered_s in self._answered_s.items():
            if answered_s <= time_s:
                newest[query_id] = max(revision, newest.get(query_id, 0))
        return [self._queries[revision] for revision in newest.items() if revision in self._queries]
