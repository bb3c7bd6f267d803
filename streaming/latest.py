"""The latest-frame slot between a producing and a consuming thread: the newest item replaces the one
before."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds at most one item. Thread-safe, for any number of producers and consumers.

    `put` never blocks: it replaces an item that was not taken and counts it as dropped. `put_blocking` waits
    for the slot to be empty and loses nothing, for a clip tracked offline.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._dropped_since_take = 0
        self._dropped_total = 0
        self._is_closed = False

    @property
    def dropped_total(self) -> int:
        """Items that were replaced before they were taken."""
        return self._dropped_total

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def put(self, item: T) -> None:
        """Store `item`, dropping the item before it. Does nothing after `close`."""
        with self._changed:
            if self._is_closed:
                return
            if self._item is not None:
                self._dropped_since_take += 1
                self._dropped_total += 1
            self._item = item
            self._changed.notify_all()

    def put_blocking(self, item: T) -> None:
        """Wait until the slot is empty, then store `item`. Returns at once, without storing, after
        `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is None or self._is_closed)
            if self._is_closed:
                return
            self._item = item
            self._changed.notify_all()

    def take(self, timeout_s: float | None = None) -> tuple[T, int] | None:
        """Wait for an item and remove it; return it with the number of items dropped since the last `take`.

        None after `timeout_s` seconds, and at once when the slot is closed and empty. An item that was stored
        before `close` can still be taken.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while self._item is None and not self._is_closed:
                left_s = None if deadline_s is None else deadline_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return None
                self._changed.wait(left_s)
            if self._item is None:
                return None
            item, dropped = self._item, self._dropped_since_take
            self._item, self._dropped_since_take = None, 0
            self._changed.notify_all()
            return item, dropped

    def close(self) -> None:
        """Wake all waiting threads; nothing can be stored from now on. May be called twice."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
