"""Converts Redis' clock to ours, from the round trips of the writer. Pure."""

from __future__ import annotations

import math
from typing import Final

REMEASURED_AFTER_S: Final = 60.0
"""The offset is taken again from the next round trip after this long: quartz clocks drift by up to 3 ms a
minute."""


class RedisClock:
    """Upper bound of `our clock - Redis' clock`. One thread uses it.

    Redis reads its clock at some moment between our sending a command and our receiving the reply, so the
    offset lies between `sent_s - redis_s` and `received_s - redis_s` (as in NTP, RFC 5905 §8, which takes the
    middle). The upper bound of the shortest round trip is used: a time converted with it is never earlier
    than the true time, and later by at most that round trip (0.1 ms on loopback), however unequal the two
    directions are.
    """

    def __init__(self) -> None:
        self.offset_s = math.inf
        "Seconds to add to a time of Redis; infinite before the first round trip."
        self._measured_s = -math.inf

    def note(self, sent_s: float, redis_s: float, received_s: float) -> None:
        """Take in a round trip: when it began and ended by our clock, and Redis' time during it. Unix
        seconds."""
        lower_s, upper_s = sent_s - redis_s, received_s - redis_s
        stepped = lower_s > self.offset_s
        aged = not 0 <= received_s - self._measured_s <= REMEASURED_AFTER_S
        if upper_s < self.offset_s or stepped or aged:
            self.offset_s, self._measured_s = upper_s, received_s
