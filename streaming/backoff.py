"""Delays between attempts to open a source. Pure.

A camera that is back has to be tracked again within two seconds, and connecting takes up to half of that, so
the delay is capped at one second while the camera is unreachable: one TCP SYN a second costs neither side
anything. A camera that refuses us gets 1, 2, 4 … 30 s: many lock an account after a few wrong passwords.
Neither gives up.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

HEALTHY_S = 5.0
"""A source that delivered frames for this long starts with the first delay again."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with a cap, and jitter so that a hundred cameras do not reconnect at the same
    time."""

    first_s: float
    cap_s: float
    jitter: float = 0.2
    "Largest fraction of the delay that is subtracted at random, 0..1: the cap stays an upper bound."

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Return the seconds to wait before attempt number `attempt` (the first retry is 0)."""
        # The exponent of an endless retry must not grow with it; 2**30 first delays are beyond any cap.
        wait_s = min(self.cap_s, self.first_s * 2.0 ** min(attempt, 30))
        return wait_s * (1.0 - self.jitter * rng.random())


UNAVAILABLE_BACKOFF = Backoff(first_s=0.25, cap_s=1.0)
"""Refused, unreachable, stalled, ended: 0.25, 0.5, 1, 1 … s."""

FORBIDDEN_BACKOFF = Backoff(first_s=1.0, cap_s=30.0)
"""The server answered and refused us (401, 403): 1, 2, 4 … 30 s."""


def next_attempt(attempt: int, healthy_s: float) -> int:
    """Return the number of the next attempt, after an attempt that delivered frames for `healthy_s`
    seconds."""
    return 0 if healthy_s >= HEALTHY_S else attempt + 1
