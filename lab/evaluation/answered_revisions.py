"""From when on which words of a query can be judged: before they were answered nobody could publish them."""

from __future__ import annotations

from streaming.events import AnswerReport
from streaming.vocabulary import FrameResult, Query, QueryId


class Promises:
    """Takes the revisions of queries as they were asked, and what was published, in order of time.

    A revision is answered by its first mask, or by a refusal: that promises that nothing is published.
    """

    def __init__(self) -> None:
        self._asked: dict[tuple[QueryId, int], Query] = {}
        self._masked_s: dict[tuple[QueryId, int], float] = {}
        self._answered_s: dict[tuple[QueryId, int], float] = {}

    def ask(self, query: Query) -> None:
        """Note a revision as the service accepted it."""
        self._asked[query.query_id, query.revision] = query

    def hear(self, answer: AnswerReport) -> None:
        """Take an answer in words."""
        if answer.presence is None:
            self._answered_s.setdefault((answer.query_id, answer.revision), answer.at_s)

    def see(self, result: FrameResult) -> None:
        """Take a result."""
        for track in result.tracks:
            if track.mask is not None:
                for first_s in (self._masked_s, self._answered_s):
                    first_s.setdefault((track.query_id, track.revision), result.published_s)

    @property
    def asked(self) -> int:
        """Revisions asked."""
        return len(self._asked)

    def answered_s(self, query: Query) -> float | None:
        """When this revision was answered; None if it was not."""
        return self._answered_s.get((query.query_id, query.revision))

    def waits_s(self) -> list[float]:
        """Prompt-to-mask of every revision that got a mask, seconds."""
        return [
            at_s - self._asked[revision].accepted_s
            for revision, at_s in self._masked_s.items()
            if revision in self._asked
        ]

    def kept_at(self, at_s: float) -> list[Query]:
        """Of every query the newest revision answered by then, if it was asked here."""
        newest: dict[QueryId, int] = {}
        for (query_id, revision), answered_s in self._answered_s.items():
            if answered_s <= at_s:
                newest[query_id] = max(revision, newest.get(query_id, 0))
        return [self._asked[revision] for revision in newest.items() if revision in self._asked]
