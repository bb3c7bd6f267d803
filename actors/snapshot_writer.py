"""Stores the snapshots of a worker's streams from a thread of its own, which no frame waits for."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from actors.repeat_filter import RepeatFilter
from actors.snapshot_store import SnapshotStore
from actors.stream_snapshot import StreamSnapshot
from streaming.vocabulary import StreamId

log = logging.getLogger(__name__)

INTERVAL_S: Final = 1.0
"Least time between two snapshots of a stream: how old a restored one is at most, with little to store."
CORE_SHARE: Final = 0.02
"Share of a core that a stream's snapshots may take: larger ones are stored less often."


class SnapshotWriter:
    """A thread and a place for one snapshot of each stream; a newer one replaces what waits there."""

    def __init__(self, store: SnapshotStore) -> None:
        self._store = store
        self._waiting: dict[StreamId, StreamSnapshot] = {}
        self._writing: StreamId | None = None
        self._costs_s: dict[StreamId, float] = {}
        "CPU time of each stream's last snapshot."
        self._changed = threading.Condition()
        self._is_closed = False
        self._repeat_filter = RepeatFilter()
        self._thread = threading.Thread(target=self._run, name="snapshot-writer", daemon=True)
        self._thread.start()

    def put(self, snapshot: StreamSnapshot) -> None:
        """Have a snapshot stored; never block. Nothing after `close`."""
        with self._changed:
            if not self._is_closed:
                self._waiting[snapshot.record.stream_id] = snapshot
                self._changed.notify_all()

    def interval_s(self, stream_id: StreamId) -> float:
        """Return how long to wait between two snapshots of a stream. Any thread."""
        return max(INTERVAL_S, self._costs_s.get(stream_id, 0.0) / CORE_SHARE)

    def forget(self, stream_id: StreamId) -> None:
        """Store nothing more of a stream; return when no write is under way."""
        with self._changed:
            self._waiting.pop(stream_id, None)
            self._changed.wait_for(lambda: self._writing != stream_id)
            self._costs_s.pop(stream_id, None)
            self._store.forget(stream_id)

    def close(self, timeout_s: float) -> None:
        """Store what waits and end the thread; return after about `timeout_s` at the latest."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (snapshot := self._take()) is not None:
            started_s = time.thread_time()
            try:
                self._store.save(snapshot.record.stream_id, snapshot)
            except Exception as exc:  # last resort: the snapshots of other streams are stored all the same
                self._warn(snapshot.record.stream_id, exc)
            with self._changed:
                self._costs_s[snapshot.record.stream_id] = time.thread_time() - started_s
                self._writing = None
                self._changed.notify_all()

    def _take(self) -> StreamSnapshot | None:
        """Wait for a snapshot; None: closed, and none waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if not self._waiting:
                return None
            self._writing = next(iter(self._waiting))
            return self._waiting.pop(self._writing)

    def _warn(self, stream_id: StreamId, exc: Exception) -> None:
        problem = f"{type(exc).__name__}: {exc}"
        if self._repeat_filter.is_new(problem, time.monotonic()):
            log.warning("The tracks of %s are not stored for a restart: %s", stream_id, problem)
