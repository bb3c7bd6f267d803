"""The bounded queue of entries that wait to be written. Pure: no Redis.

A Redis Stream refuses an entry whose id is not greater than the last id it generated. The writer therefore
chooses the ids itself and repeats an append under the same id: an entry whose reply was lost is either found
under its id or can be sent again, and if both arrive Redis refuses the second.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from streaming.results.keys import EntryId
from streaming.vocabulary import FrameResult, StreamId
from streaming.wire import FrameParts

OnPublished = Callable[[FrameResult], None]
"""Takes a result that Redis holds, with `published_s` and `latency_s.total` as stored. Called once for each,
on the writer's thread; must not block."""


@dataclass(frozen=True, slots=True)
class PendingFrame:
    """A frame's result before its publication."""

    result: FrameResult
    parts: FrameParts
    on_published: OnPublished | None = None

    def published(self, published_s: float, total_s: float) -> None:
        """Call `on_published` with the result as stored."""
        if self.on_published is not None:
            latency_s = replace(self.result.latency_s, total=total_s)
            self.on_published(replace(self.result, published_s=published_s, latency_s=latency_s))


@dataclass(slots=True)
class Pending:
    """An entry that is not known to be in Redis yet."""

    stream_id: StreamId
    key: str
    maxlen: int
    content: bytes | PendingFrame
    "Bytes: a note, as JSON."
    entry_id: EntryId | None = field(default=None)
    "None until it was sent once; then it is in doubt until Redis has confirmed it."


class Outbox:
    """A queue from many publishing threads to the writer's thread. When it is full the oldest entry is lost.

    Losses are counted by stream.
    """

    def __init__(self, capacity: int) -> None:
        self._waiting: deque[Pending] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._is_closed = False
        self._lost: Counter[StreamId] = Counter()

    def put(self, entry: Pending) -> bool:
        """Queue an entry; never block. False if an entry was lost: the oldest, or this one after `close`."""
        with self._changed:
            if self._is_closed:
                self._lost[entry.stream_id] += 1
                return False
            is_full = len(self._waiting) >= self._capacity
            if is_full:
                self._lost[self._waiting.popleft().stream_id] += 1
            self._waiting.append(entry)
            self._changed.notify()
            return not is_full

    def take(self, limit: int) -> list[Pending]:
        """Remove and return the oldest entries, at most `limit`; wait for the first. Empty: closed and
        drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def close(self) -> None:
        """Accept no more entries; those that wait can still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def count_lost(self, stream_id: StreamId) -> None:
        """Count an entry that will never be in Redis."""
        with self._changed:
            self._lost[stream_id] += 1

    def lost(self, stream_id: StreamId) -> int:
        """Return how many entries of this stream were lost."""
        with self._changed:
            return self._lost[stream_id]

    def forget(self, stream_id: StreamId) -> None:
        """Remove the counter of a stream that was removed."""
        with self._changed:
            self._lost.pop(stream_id, None)
