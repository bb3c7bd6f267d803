"""Keeps a log readable while something fails again and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

PERIOD_S: Final = 1.0
_MOST: Final = 1_000
"Messages that are remembered; more are not within a period."


class RepeatedLogFilter(logging.Filter):
    """Passes a message once in `PERIOD_S`, and says how many like it were left out before.

    Messages are alike that have the same logger, level and format, whatever the arguments are.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._passed: dict[tuple[str, int, str], tuple[float, int]] = {}
        "When it was passed last, and the number left out since."

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is passed."""
        now_s, key = self._clock(), (record.name, record.levelno, str(record.msg))
        passed_s, left_out = self._passed.pop(key, (now_s - PERIOD_S, 0))
        if now_s - passed_s < PERIOD_S:
            self._passed[key] = passed_s, left_out + 1
            return False
        self._passed[key] = now_s, 0
        if len(self._passed) > _MOST:
            del self._passed[next(iter(self._passed))]
        if left_out:
            record.msg = f"{record.msg} (and {left_out} more like it)"
        return True
