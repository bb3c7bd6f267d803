"""What need not be said again so soon. Pure, the time is an argument."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

QUIET_S: Final = 10.0
"A trouble that lasts is said so often; what is asked again meets it every two seconds."
_KNOWN: Final = 256


class RepeatFilter:
    """Remembers what was said last, the newest 256 things."""

    def __init__(self) -> None:
        self._said_s: dict[Hashable, float] = {}

    def is_news(self, what: Hashable, now_s: float) -> bool:
        """Whether to say it; then it is no news for `QUIET_S`."""
        if now_s - self._said_s.get(what, -QUIET_S) < QUIET_S:
            return False
        self._said_s.pop(what, None)
        self._said_s[what] = now_s
        if len(self._said_s) > _KNOWN:
            del self._said_s[next(iter(self._said_s))]
        return True
