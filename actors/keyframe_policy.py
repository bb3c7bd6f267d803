"""When to look again: which queries are shown to the grounder with this frame. Pure, `now_s` is an argument.

Theory of operation. A query is asked at once when it is new or its words changed, later for a reason only:

    no answer came               again after `ANSWER_TIMEOUT_S`, words after `WORDS_TIMEOUT_S`, of a slow
                                 grounder after `PATIENCE` times what it took last;
                                 known to have failed: 0.25, 0.5, 1, 2 s
    "no such object"             again after 0.25, 0.5, 1, 2 s: what is not there now may come
    an object is out of sight    the same
    all its objects are in sight again after `REFRESH_S`: a tracker may drift, more objects may come

A text (`ask`, `describe`) is answered once per revision. At most one question per query is under way. What
falls due within `SHARE_S` goes along, because queries on one keyframe share most of their cost. A slow
grounder is asked less often: it may spend `DUTY` of its time on the refreshing of one stream, and no
question follows another sooner than it took to answer.

The waits are for nano, which grounds in about 70 ms on one core: 7 % of that core while something is in
sight, 4 % when it has been sought for a while, 28 % in the first quarter second of a search.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from streaming.vocabulary import Answer, Query, QueryId, QueryKind, Track, TrackState

RETRY_S = (0.25, 0.5, 1.0, 2.0)
"""Waits after one, two, three and more looks in vain."""

REFRESH_S = 1.0
"""Oldest the last look may be while every object of the query is in sight."""

ANSWER_TIMEOUT_S = 5.0
"""A question unanswered for this long is lost; a grounder that dies says so sooner."""

SHARE_S = 0.25
"""Queries due this soon join a keyframe that is sent anyway."""

WORDS_TIMEOUT_S = 60.0
"""The same where words are wanted: they take as long as they are long; asked again meanwhile, they would be
said twice."""

PATIENCE = 2.0
"""How many times as long as the last answer took a question may be under way. Asked again sooner, a grounder
that takes longer than the timeout would never rest, and the pictures that its answers are about would be
forgotten before they come."""

DUTY = 0.1
"""Share of the grounder's time that refreshing one stream may take."""

IN_SIGHT = frozenset({TrackState.TENTATIVE, TrackState.ACTIVE})


@dataclass(slots=True)
class _Inquiry:
    """What is known about one revision of one query."""

    query: Query
    asked_s: float | None = None
    "When the question under way was asked; None: none is."
    last_s: float | None = None
    "When the last question was answered or given up."
    misses: int = 0
    "Looks in a row after which something was still out of sight."
    answered: bool = False
    ground_s: float = 0.0
    "How long the grounder worked on the last answer, seconds."

    def due_s(self, in_sight: bool) -> float:
        """When to ask (again); infinity for never. `in_sight`: every object of the query is."""
        if self.asked_s is not None:
            usual_s = ANSWER_TIMEOUT_S if self.query.kind is QueryKind.REFER else WORDS_TIMEOUT_S
            return self.asked_s + max(usual_s, PATIENCE * self.ground_s)
        if self.last_s is None:
            return 0.0
        if self.answered and self.query.kind is not QueryKind.REFER:
            return float("inf")
        if in_sight:
            return self.last_s + max(REFRESH_S, self.ground_s / DUTY)
        wait_s = RETRY_S[min(max(self.misses, 1), len(RETRY_S)) - 1]
        return self.last_s + max(wait_s, self.ground_s)


class KeyframePolicy:
    """The questions of one stream. Not thread-safe: the thread that tracks the stream owns it."""

    def __init__(self) -> None:
        self._inquiries: dict[QueryId, _Inquiry] = {}

    def set_queries(self, queries: Sequence[Query]) -> None:
        """The queries that are live now. New ones and new revisions fall due at once, the others go on."""
        known = self._inquiries
        self._inquiries = {query.query_id: _Inquiry(query) for query in queries}
        for query_id, inquiry in known.items():
            now = self._inquiries.get(query_id)
            if now is None:
                continue
            if now.query == inquiry.query:
                self._inquiries[query_id] = inquiry
            else:
                now.ground_s = inquiry.ground_s

    def answered(self, answer: Answer, now_s: float) -> None:
        """Take in an answer; one to other words than the present ones is ignored."""
        inquiry = self._inquiries.get(answer.query_id)
        if inquiry is None or inquiry.query.revision != answer.revision:
            return
        inquiry.asked_s, inquiry.last_s = None, now_s
        inquiry.answered, inquiry.ground_s = True, answer.ground_s
        inquiry.misses += 1

    def is_under_way(self, query_id: QueryId, asked_s: float) -> bool:
        """Whether the question that was asked then is the query's newest, and waits for its answer."""
        inquiry = self._inquiries.get(query_id)
        return inquiry is not None and inquiry.asked_s == asked_s

    def failed(self, query_ids: Collection[QueryId], now_s: float) -> None:
        """Take in that the questions under way about these queries will not be answered."""
        for query_id in query_ids:
            inquiry = self._inquiries.get(query_id)
            if inquiry is not None and inquiry.asked_s is not None:
                inquiry.asked_s, inquiry.last_s = None, now_s
                inquiry.misses += 1

    def due(self, tracks: Sequence[Track], now_s: float) -> tuple[Query, ...]:
        """The queries to show with the frame that `tracks` are on; they count as asked from now on."""
        due_s = {query_id: self._due_s(query_id, tracks) for query_id in self._inquiries}
        if not any(at_s <= now_s for at_s in due_s.values()):
            return ()
        asked = [
            inquiry
            for query_id, inquiry in self._inquiries.items()
            if due_s[query_id] <= now_s + (SHARE_S if inquiry.asked_s is None else 0.0)
        ]
        for inquiry in asked:
            inquiry.asked_s = now_s
        return tuple(inquiry.query for inquiry in asked)

    def _due_s(self, query_id: QueryId, tracks: Sequence[Track]) -> float:
        inquiry = self._inquiries[query_id]
        states = [
            track.state
            for track in tracks
            if track.query_id == query_id and track.state is not TrackState.ENDED
        ]
        in_sight = bool(states) and all(state in IN_SIGHT for state in states)
        if in_sight:
            inquiry.misses = 0
        return inquiry.due_s(in_sight)
