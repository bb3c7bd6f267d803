"""Suppresses messages that repeat. Pure: the time is an argument."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

QUIET_S: Final = 10.0
"Between two messages of a failure that lasts: a question that fails is repeated every two seconds."
_CAPACITY: Final = 256


class RepeatFilter:
    """Remembers when the newest 256 messages were passed on."""

    def __init__(self) -> None:
        self._passed_s: dict[Hashable, float] = {}

    def is_new(self, message: Hashable, now_s: float) -> bool:
        """Return whether to pass the message on; if so, the same message is not new for `QUIET_S`."""
        if now_s - self._passed_s.get(message, -QUIET_S) < QUIET_S:
            return False
        self._passed_s.pop(message, None)
        self._passed_s[message] = now_s
        if len(self._passed_s) > _CAPACITY:
            del self._passed_s[next(iter(self._passed_s))]
        return True
