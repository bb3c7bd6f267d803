"""What came of each query of a stream: state, last answer, how long the first mask took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streaming.events import AnswerReport, answer_report
from streaming.status import QueryState, QueryStatus
from streaming.vocabulary import Answer, Query, QueryId, QueryKind, Track


class QueryBook:
    """Keeps one `QueryStatus` for each query. One thread writes; `statuses` may be read by any."""

    def __init__(self) -> None:
        self._statuses: dict[QueryId, QueryStatus] = {}
        self._said: dict[QueryId, str] = {}
        "The last text that was reported, so that a refresh with the same words is not news."

    def statuses(self) -> tuple[QueryStatus, ...]:
        """Every query, in the order it was asked."""
        return tuple(self._statuses.values())

    def set_queries(self, queries: Sequence[Query]) -> None:
        """Open a page for new queries and new revisions, drop those that are gone."""
        kept: dict[QueryId, QueryStatus] = {}
        for query in queries:
            known = self._statuses.get(query.query_id)
            is_known = known is not None and known.query.revision == query.revision
            kept[query.query_id] = known if known is not None and is_known else QueryStatus(query)
            if not is_known:
                self._said.pop(query.query_id, None)
        self._said = {query_id: text for query_id, text in self._said.items() if query_id in kept}
        self._statuses = kept

    def failed(self, query_ids: Sequence[QueryId]) -> None:
        """The grounder could not answer; a query that is followed all the same stays as it is."""
        for query_id in query_ids:
            status = self._statuses.get(query_id)
            if status is not None and status.state is QueryState.PENDING:
                self._statuses[query_id] = replace(status, state=QueryState.FAILED)

    def note(
        self, answers: Sequence[Answer], tracks: Sequence[Track], now_s: float
    ) -> tuple[tuple[float, ...], tuple[AnswerReport, ...]]:
        """Book one frame's answers and tracks.

        Returns the prompt-to-mask times of revisions that got their first mask, and the answers that are
        news: every new text of a query, and the one that brought its first mask.
        """
        firsts: dict[QueryId, float] = {}
        for query_id, status in self._statuses.items():
            if status.prompt_to_mask_s is None and _has_mask(status.query, tracks):
                firsts[query_id] = max(0.0, now_s - status.query.accepted_s)
        reports = []
        for answer in answers:
            report = answer_report(answer, now_s, firsts.get(answer.query_id))
            if self._said.get(answer.query_id) != answer.text or answer.query_id in firsts:
                reports.append(report)
            self._said[answer.query_id] = answer.text
            self._book(report, bool(answer.prompts))
        for query_id, seconds in firsts.items():
            status = self._statuses[query_id]
            self._statuses[query_id] = replace(status, prompt_to_mask_s=seconds, state=QueryState.FOLLOWING)
        return tuple(firsts.values()), tuple(reports)

    def _book(self, report: AnswerReport, found: bool) -> None:
        status = self._statuses[report.query_id]
        if status.query.kind is not QueryKind.REFER:
            state = QueryState.ANSWERED
        else:
            state = QueryState.FOLLOWING if found else QueryState.ABSENT
        self._statuses[report.query_id] = replace(
            status, state=state, answer=report.text, presence=report.presence
        )


def _has_mask(query: Query, tracks: Sequence[Track]) -> bool:
    return any(
        track.query_id == query.query_id and track.revision == query.revision and track.mask is not None
        for track in tracks
    )
