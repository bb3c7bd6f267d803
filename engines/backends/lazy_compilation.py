"""Counts the compilations of models that begin in calls of runners, so that such a call is not taken for a
hang.
"""

from __future__ import annotations

import threading

_lock = threading.Lock()
_begun = 0


def count_compilation() -> None:
    """Record that a compilation begins in a call of a runner. Any thread."""
    global _begun
    with _lock:
        _begun += 1


def compilations_begun() -> int:
    """Return how many such compilations were begun in this process. Any thread."""
    return _begun
