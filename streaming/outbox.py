"""What waits to be written: bounded, and named so that nothing is written twice. No Redis in here.

A Redis Stream refuses an entry whose id is not greater than the last one it generated. So the writer
chooses the ids itself and keeps them when it has to try again: an XADD whose reply was lost is either found
under its id or can be sent again under it, and if both arrive Redis refuses the second.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import NamedTuple

from streaming.vocabulary import StreamId


class EntryId(NamedTuple):
    """Id of an entry of a Redis Stream, ordered as Redis orders them."""

    ms: int
    seq: int

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> EntryId:
        """From `<ms>-<seq>`."""
        ms, _, seq = text.partition("-")
        return cls(int(ms), int(seq))


BEFORE_ALL = EntryId(0, 0)


def entry_id_after(last: EntryId, now_s: float) -> EntryId:
    """The id for an entry written now: the clock's, as Redis does, or just after `last` if it lags."""
    now_ms = int(now_s * 1000)
    return EntryId(now_ms, 0) if now_ms > last.ms else EntryId(last.ms, last.seq + 1)


@dataclass(slots=True)
class Pending:
    """One entry on its way to Redis."""

    stream_id: StreamId
    key: str
    maxlen: int
    data: bytes
    entry_id: EntryId | None = None
    "None until it was sent once; then it is in doubt until Redis has confirmed it."


class Outbox:
    """A bounded queue between many threads that publish and one that writes. Full: the oldest is lost.

    Losses and writes are counted by stream.
    """

    def __init__(self, capacity: int) -> None:
        self._waiting: deque[Pending] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._closed = False
        self._written: Counter[StreamId] = Counter()
        self._lost: Counter[StreamId] = Counter()

    def put(self, entry: Pending) -> bool:
        """Queue an entry; never blocks. False if something was lost for it."""
        with self._changed:
            if self._closed:
                self._lost[entry.stream_id] += 1
                return False
            full = len(self._waiting) >= self._capacity
            if full:
                self._lost[self._waiting.popleft().stream_id] += 1
            self._waiting.append(entry)
            self._changed.notify()
            return not full

    def take(self, limit: int) -> list[Pending]:
        """The oldest entries, at most `limit`; waits for one. Empty only when closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def close(self) -> None:
        """Take nothing in any more; what waits may still be taken out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def count_written(self, stream_id: StreamId) -> None:
        """An entry is in Redis."""
        with self._changed:
            self._written[stream_id] += 1

    def count_lost(self, stream_id: StreamId) -> None:
        """An entry will never be in Redis."""
        with self._changed:
            self._lost[stream_id] += 1

    def written(self, stream_id: StreamId) -> int:
        """Entries of this stream that are in Redis by us."""
        with self._changed:
            return self._written[stream_id]

    def lost(self, stream_id: StreamId) -> int:
        """Entries of this stream that will never be in Redis."""
        with self._changed:
            return self._lost[stream_id]

    def forget(self, stream_id: StreamId) -> None:
        """Drop a stream's counters: it was removed."""
        with self._changed:
            self._written.pop(stream_id, None)
            self._lost.pop(stream_id, None)
