"""The grounder's bounded queue: newest keyframe of a query wins, longest-waiting request first. Pure.

Theory of operation. A request is one keyframe with its queries. A query is in at most one request: a newer
keyframe of it takes over the older one's place, so asking again does not lose the turn. The request that has
waited longest is served first. When the queue is full the one that has waited shortest is superseded; the
time its queries have waited counts when they are asked again, so that no query waits for ever.

Requests for masks (`refer`) are served in batches; the first of a batch waits `WINDOW_S` for others. A batch
has all requests of each of its streams, and the newest keyframe of a stream is used for all of them: queries
edited one by one while the grounder was busy cost one image. Requests for text (`ask`, `describe`) are served
alone, as generation takes as long as the text is; after each, masks are served if any wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from streaming.vocabulary import Keyframe, Query, QueryId, QueryKind, StreamId

RequestId = int

WINDOW_S: Final = 0.004
"""How long a first request waits for others: a tenth of a frame; a stream's queries of one edit come within
it."""
BATCH_S: Final = 0.5
"Longest time that one batch may take: its first request waits for its last."
MAX_BATCH_STREAMS: Final = 8
FORGET_S: Final = 10.0
"""After so long without a question a query's waiting time is forgotten: live queries are asked every few
seconds."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """Queries of a request that will not be answered: a newer keyframe replaced them, or the queue was
    full."""

    request_id: RequestId
    query_ids: tuple[QueryId, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A keyframe taken from the queue to be grounded."""

    request_id: RequestId
    keyframe: Keyframe
    waited_s: float
    "Since this keyframe was put."


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    request_id: RequestId
    keyframe: Keyframe
    put_s: float

    @property
    def stream_id(self) -> StreamId:
        return self.keyframe.frame.stream_id

    @property
    def keys(self) -> list[tuple[StreamId, QueryId]]:
        return [(self.stream_id, query.query_id) for query in self.keyframe.queries]

    @property
    def needs_text(self) -> bool:
        return needs_text(self.keyframe)


def needs_text(keyframe: Keyframe) -> bool:
    """Return whether a query of the keyframe is answered by text (`ask`, `describe`)."""
    return any(query.kind is not QueryKind.REFER for query in keyframe.queries)


def split_keyframe(keyframe: Keyframe) -> list[Keyframe]:
    """Split off each query for text, so that no query waits for the text of another."""
    referring = tuple(query for query in keyframe.queries if query.kind is QueryKind.REFER)
    others = ((query,) for query in keyframe.queries if query.kind is not QueryKind.REFER)
    return [replace(keyframe, queries=queries) for queries in (referring, *others) if queries]


def batch_streams(stream_s: float) -> int:
    """Return how many streams a batch may have, where one takes `stream_s` seconds: 1 to 8."""
    return max(1, min(MAX_BATCH_STREAMS, int(BATCH_S / max(stream_s, 1e-6))))


def group_by_stream(requests: Iterable[Request]) -> list[list[Request]]:
    """Return the requests of each stream, in their order."""
    groups: dict[StreamId, list[Request]] = {}
    for request in requests:
        groups.setdefault(request.keyframe.frame.stream_id, []).append(request)
    return list(groups.values())


def merge_by_stream(keyframes: Iterable[Keyframe]) -> list[Keyframe]:
    """Return one keyframe per stream, in their order: its newest frame with the queries of all."""
    merged: dict[StreamId, Keyframe] = {}
    for keyframe in keyframes:
        stream_id = keyframe.frame.stream_id
        known = merged.get(stream_id, keyframe)
        queries = known.queries if known is keyframe else known.queries + keyframe.queries
        newest = max(known, keyframe, key=lambda candidate: (candidate.asked_s, candidate.frame.index))
        merged[stream_id] = replace(newest, queries=queries)
    return list(merged.values())


class KeyframeQueue:
    """Not thread-safe: the grounder's event loop owns it. Times are of any one monotonic clock."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: dict[RequestId, _Entry] = {}
        self._asked_s: dict[tuple[StreamId, QueryId], tuple[float, float]] = {}
        "For a query not served yet: when it was first asked, and when last."
        self._next_id: RequestId = 0
        self._text_was_last = False

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, request_id: RequestId) -> bool:
        """Return whether the request is still queued, with at least one query."""
        return request_id in self._entries

    def put(self, keyframe: Keyframe, now_s: float) -> tuple[RequestId, list[Superseded]]:
        """Add a keyframe; return its id and what it superseded: itself, if the queue is full and it is
        last."""
        new = _Entry(self._next_id, keyframe, now_s)
        self._next_id += 1
        self._record_asked(new.keys, now_s)
        superseded = self._supersede(keyframe)
        self._entries[new.request_id] = new
        if len(self._entries) > self._capacity:
            last = max(self._entries.values(), key=self._turn)
            del self._entries[last.request_id]
            earlier = [gone.query_ids for gone in superseded if gone.request_id == last.request_id]
            superseded = [gone for gone in superseded if gone.request_id != last.request_id]
            lost = sum(earlier, ()) + _ids(last.keyframe.queries)
            superseded.append(Superseded(last.request_id, lost))
        return new.request_id, superseded

    def ready_s(self) -> float | None:
        """Return from when on `take` returns requests; None while the queue is empty."""
        first_s = min((entry.put_s for entry in self._entries.values()), default=None)
        return None if first_s is None else first_s + WINDOW_S

    def take(self, now_s: float, max_streams: int) -> list[Request]:
        """Take the next batch: all requests for masks of up to `max_streams` streams, or one for text.

        Empty before `ready_s`. No query of a stream is in two requests of a batch.
        """
        ready_s = self.ready_s()
        if ready_s is None or now_s < ready_s:
            return []
        ordered = sorted(self._entries.values(), key=self._turn)
        for_masks = [entry for entry in ordered if not entry.needs_text]
        if ordered[0].needs_text and not (self._text_was_last and for_masks):
            chosen = ordered[:1]
        else:
            streams = list(dict.fromkeys(entry.stream_id for entry in for_masks))[:max_streams]
            chosen = [entry for entry in for_masks if entry.stream_id in streams]
        self._text_was_last = chosen[0].needs_text
        return [self._remove(entry, now_s) for entry in chosen]

    def expire(self, before_s: float) -> list[Superseded]:
        """Remove the requests that were put before a time, and return them."""
        expired = [entry for entry in self._entries.values() if entry.put_s < before_s]
        for entry in expired:
            del self._entries[entry.request_id]
        return [Superseded(entry.request_id, _ids(entry.keyframe.queries)) for entry in expired]

    def _turn(self, entry: _Entry) -> tuple[float, RequestId]:
        first_s = min((self._asked_s[key][0] for key in entry.keys), default=entry.put_s)
        return first_s, entry.request_id

    def _remove(self, entry: _Entry, now_s: float) -> Request:
        del self._entries[entry.request_id]
        for key in entry.keys:
            self._asked_s.pop(key, None)
        return Request(entry.request_id, entry.keyframe, now_s - entry.put_s)

    def _record_asked(self, keys: Iterable[tuple[StreamId, QueryId]], now_s: float) -> None:
        queued = {key for entry in self._entries.values() for key in entry.keys}
        self._asked_s = {
            key: times
            for key, times in self._asked_s.items()
            if key in queued or now_s - times[1] <= FORGET_S
        }
        for key in keys:
            self._asked_s[key] = (self._asked_s.get(key, (now_s, now_s))[0], now_s)

    def _supersede(self, keyframe: Keyframe) -> list[Superseded]:
        asked = {query.query_id for query in keyframe.queries}
        superseded = []
        for request_id, entry in list(self._entries.items()):
            older = entry.keyframe
            stale = tuple(query for query in older.queries if query.query_id in asked)
            if entry.stream_id != keyframe.frame.stream_id or not stale:
                continue
            superseded.append(Superseded(request_id, _ids(stale)))
            left = tuple(query for query in older.queries if query.query_id not in asked)
            if left:
                self._entries[request_id] = replace(entry, keyframe=replace(older, queries=left))
            else:
                del self._entries[request_id]
        return superseded


def _ids(queries: tuple[Query, ...]) -> tuple[QueryId, ...]:
    return tuple(query.query_id for query in queries)
