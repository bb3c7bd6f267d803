"""The grounder's waiting room: bounded, fair between streams, the newest keyframe of a query wins. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from streaming.vocabulary import Keyframe, Query, QueryId, StreamId

Ticket = int


@dataclass(frozen=True, slots=True)
class Superseded:
    """A question that will not be answered because a newer one took its place, or room ran out."""

    ticket: Ticket
    query_ids: tuple[QueryId, ...]


class KeyframeQueue:
    """First in, first out by keyframe; a query waits in one keyframe at a time.

    Not thread-safe: it lives in the grounder's event loop.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: OrderedDict[Ticket, Keyframe] = OrderedDict()
        self._next_ticket: Ticket = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, keyframe: Keyframe) -> tuple[Ticket, list[Superseded]]:
        """Add a keyframe; returns its ticket and what it pushed out."""
        asked = frozenset(query.query_id for query in keyframe.queries)
        pushed_out = self._supersede(keyframe.frame.stream_id, asked)
        if len(self._waiting) == self._capacity:
            ticket, oldest = self._waiting.popitem(last=False)
            earlier = [gone for gone in pushed_out if gone.ticket == ticket]
            lost = sum((gone.query_ids for gone in earlier), ()) + _ids(oldest.queries)
            pushed_out = [gone for gone in pushed_out if gone.ticket != ticket]
            pushed_out.append(Superseded(ticket, lost))
        ticket = self._next_ticket
        self._next_ticket += 1
        self._waiting[ticket] = keyframe
        return ticket, pushed_out

    def take(self) -> tuple[Ticket, Keyframe] | None:
        """The keyframe that waited longest, or None."""
        return self._waiting.popitem(last=False) if self._waiting else None

    def waits(self, ticket: Ticket) -> bool:
        """Whether a keyframe is still here, with at least one query."""
        return ticket in self._waiting

    def _supersede(self, stream_id: StreamId, asked: frozenset[QueryId]) -> list[Superseded]:
        pushed_out = []
        for ticket, waiting in list(self._waiting.items()):
            stale = tuple(query for query in waiting.queries if query.query_id in asked)
            if waiting.frame.stream_id != stream_id or not stale:
                continue
            pushed_out.append(Superseded(ticket, _ids(stale)))
            kept = tuple(query for query in waiting.queries if query.query_id not in asked)
            if kept:
                self._waiting[ticket] = replace(waiting, queries=kept)
            else:
                del self._waiting[ticket]
        return pushed_out


def _ids(queries: tuple[Query, ...]) -> tuple[QueryId, ...]:
    return tuple(query.query_id for query in queries)
