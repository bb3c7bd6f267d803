"""The one-place slot between a thread that makes things and a thread that uses them: the newest wins."""

from __future__ import annotations

import threading
import time
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds at most one thing. Thread-safe, for any number of makers and one or more takers.

    `put` never waits: it replaces what nobody took and counts it as dropped. `put_blocking` is for a maker that
    must lose nothing (a clip tracked offline): it waits until the place is empty.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self._dropped_since_take = 0
        self._dropped_total = 0
        self._closed = False

    @property
    def dropped_total(self) -> int:
        """Things replaced before anybody took them, since the beginning."""
        return self._dropped_total

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def put(self, item: T) -> None:
        """Place `item`, dropping what was there. After `close` it does nothing."""
        with self._changed:
            if self._closed:
                return
            if self._item is not None:
                self._dropped_since_take += 1
                self._dropped_total += 1
            self._item = item
            self._changed.notify_all()

    def put_blocking(self, item: T) -> None:
        """Wait until the place is empty, then place `item`. After `close` it does nothing, at once."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is None or self._closed)
            if self._closed:
                return
            self._item = item
            self._changed.notify_all()

    def take(self, timeout_s: float | None = None) -> tuple[T, int] | None:
        """What is there and how many were dropped since the last take; waits for it.

        None after `timeout_s` seconds, and at once when the slot is closed and empty. What was placed before
        `close` can still be taken.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while self._item is None and not self._closed:
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
        """Wake everybody who waits; from now on nothing can be placed. May be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
