"""The time by two clocks: the wall clock stamps what users see, the monotonic clock measures durations."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Moment:
    """One point in time. A wall clock that is set changes `wall_s` only."""

    wall_s: float
    "Unix time, seconds."
    monotonic_s: float
    "Seconds of `time.monotonic`."

    @classmethod
    def now(cls) -> Moment:
        """Read both clocks."""
        return cls(time.time(), time.monotonic())

    def wall_of(self, monotonic_s: float) -> float:
        """Return the wall clock's time, as it is set now, of another moment."""
        return self.wall_s - (self.monotonic_s - monotonic_s)


@dataclass(frozen=True, slots=True)
class StoredMoment:
    """A point in time that another process can compare with its own, also on another day."""

    wall_s: float
    "Unix time, seconds."
    up_s: float
    "Seconds since this machine was started, time asleep included."
    boot_id: str
    "Of this start of the machine; empty where the system has none."

    @classmethod
    def now(cls) -> StoredMoment:
        """Read both clocks."""
        clock = getattr(time, "CLOCK_BOOTTIME", None)
        return cls(time.time(), time.monotonic() if clock is None else time.clock_gettime(clock), _boot_id())

    def age_s(self, now: StoredMoment) -> float:
        """Return the seconds from this moment to `now`, never negative.

        By the wall clocks only where the two are of different machines, or starts of a machine.
        """
        if self.boot_id and self.boot_id == now.boot_id:
            return max(0.0, now.up_s - self.up_s)
        return max(0.0, now.wall_s - self.wall_s)


@cache
def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
