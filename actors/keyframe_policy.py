"""Which queries are sent to the grounder with this frame. Pure: the ledger's entries and `now_s` decide.

Theory of operation. A query is asked at once when it is new or has a new revision; after that:

    no answer came               again after `ANSWER_TIMEOUT_S` (`WORDS_TIMEOUT_S` for a text),
                                 but not before `PATIENCE` times what the last answer took;
                                 after a failure: 0.25, 0.5, 1, 2 s
    "no such object"             again after 0.25, 0.5, 1, 2 s: the object may appear
    an object is not visible     the same
    all objects are visible      again after `REFRESH_S`: a tracker may drift, more objects may appear

A text (`ask`, `describe`) is asked once per revision. At most one question per query is pending. Queries due
within `SHARE_S` join the keyframe, because queries on one keyframe share most of their cost. A slow grounder
is asked less often: refreshing one stream may take `DUTY` of its time, and no question follows another sooner
than the last answer took.

The intervals are for nano, which grounds in about 70 ms on one core: 7 % of that core while all objects are
visible, 4 % during a long search, 28 % in the first quarter second of a search.
"""

from __future__ import annotations

from collections.abc import Collection

from actors.query_ledger import QueryEntry
from streaming.vocabulary import Query, QueryKind

RETRY_S = (0.25, 0.5, 1.0, 2.0)
"""Waits after one, two, three and more questions without all objects visible."""

REFRESH_S = 1.0
"""Longest time between answers while every object of the query is visible."""

ANSWER_TIMEOUT_S = 5.0
"""A question without an answer for this long is lost; a grounder that died fails it sooner."""

SHARE_S = 0.25
"""Queries due this soon join a keyframe that is sent anyway."""

WORDS_TIMEOUT_S = 60.0
"""`ANSWER_TIMEOUT_S` for `ask` and `describe`: generation takes as long as the text is; a question asked
again meanwhile would be answered twice."""

PATIENCE = 2.0
"""How many times as long as the last answer took a question may be pending. Asked again sooner, a grounder
that takes longer than the timeout would never be idle, and the pins of its keyframes would expire before the
answers."""

DUTY = 0.1
"""Share of the grounder's time that refreshing one stream may take, 0 to 1."""


def due_queries(entries: Collection[QueryEntry], now_s: float) -> tuple[Query, ...]:
    """Return the queries to send with the newest frame: empty unless at least one is due."""
    due_s = [_due_s(entry) for entry in entries]
    if not any(at_s <= now_s for at_s in due_s):
        return ()
    return tuple(
        entry.query
        for entry, at_s in zip(entries, due_s, strict=True)
        if at_s <= now_s + (SHARE_S if entry.asked_s is None else 0.0)
    )


def _due_s(entry: QueryEntry) -> float:
    """Return when to ask (again); infinity for never."""
    if entry.asked_s is not None:
        usual_s = ANSWER_TIMEOUT_S if entry.query.kind is QueryKind.REFER else WORDS_TIMEOUT_S
        return entry.asked_s + max(usual_s, PATIENCE * entry.ground_s)
    if entry.closed_s is None:
        return 0.0
    if entry.answered_s is not None and entry.query.kind is not QueryKind.REFER:
        return float("inf")
    if entry.is_visible:
        return entry.closed_s + max(REFRESH_S, entry.ground_s / DUTY)
    wait_s = RETRY_S[min(max(entry.misses, 1), len(RETRY_S)) - 1]
    return entry.closed_s + max(wait_s, entry.ground_s)
