"""How long to wait before a source is opened again. Pure.

A camera that is back must be tracked again within two seconds (the bar), and connecting takes up to about
half of that, so the wait is capped at one second for as long as the camera is simply away: one TCP SYN a
second costs neither side anything. A camera that answers "no" is another matter: many lock an account
after a few wrong passwords, so there the classical 1, 2, 4 … 30 s is used. Both go on for ever.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

HEALTHY_S = 5.0
"""A source that showed pictures for this long starts its waits from the beginning."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """A growing wait with a cap and some jitter, so that a hundred cameras do not come back in step."""

    first_s: float
    cap_s: float
    jitter: float = 0.2
    "Largest share of the wait that is taken off at random, 0..1: the cap stays an upper bound."

    def delay_s(self, attempt: int, rng: random.Random) -> float:
        """Seconds to wait before attempt number `attempt` (the first retry is 0)."""
        # The exponent of an endless retry must not grow with it; 2**30 first waits are beyond any cap.
        wait_s = min(self.cap_s, self.first_s * 2.0 ** min(attempt, 30))
        return wait_s * (1.0 - self.jitter * rng.random())


UNAVAILABLE_BACKOFF = Backoff(first_s=0.25, cap_s=1.0)
"""Refused, unreachable, stalled, ended: 0.25, 0.5, 1, 1 … s."""

FORBIDDEN_BACKOFF = Backoff(first_s=1.0, cap_s=30.0)
"""The server spoke and does not want us (401, 403): 1, 2, 4 … 30 s."""


def next_attempt(attempt: int, healthy_s: float) -> int:
    """Number of the next attempt, after one whose pictures came for `healthy_s` seconds."""
    return 0 if healthy_s >= HEALTHY_S else attempt + 1
