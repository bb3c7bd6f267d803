"""What an actor answers when its monitor asks whether it is alive, and the timing of tracking steps. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from streaming.status import StreamStatus
from streaming.vocabulary import StreamId

RECENT_STEPS: Final = 256
"Steps that `StepTiming.longest_s` covers: about 10 s at 25 fps."


@dataclass(frozen=True, slots=True)
class StepTiming:
    """How a tracking thread is getting on. Durations, so that no clock is compared across processes."""

    running_s: float
    "For how long the present step has been running; 0.0 between steps."
    longest_s: float | None
    "The longest of the last `RECENT_STEPS` completed steps; None before the first was completed."


class StepClock:
    """Times the steps of one tracking thread, on the monotonic clock. That thread writes, any may read."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._durations_s: deque[float] = deque(maxlen=RECENT_STEPS)

    def begin(self, now_s: float) -> None:
        """Record that a step begins."""
        self._began_s = now_s

    def end(self, now_s: float) -> None:
        """Record that the step ended, with a result or an exception."""
        if self._began_s is not None:
            self._durations_s.append(now_s - self._began_s)
        self._began_s = None

    def timing(self, now_s: float) -> StepTiming:
        """Return the timing at `now_s`. Any thread."""
        began_s = self._began_s
        running_s = 0.0 if began_s is None else max(0.0, now_s - began_s)
        # `tuple` copies the deque without releasing the GIL; `max` alone could meet an append.
        return StepTiming(running_s, max(tuple(self._durations_s), default=None))


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One actor's answer. Everything but `pid` is a worker's."""

    pid: int
    "Process id: a new one means that Ray has restarted the actor."
    version: int = 0
    "Version of the desired state that the worker hosts; 0: none."
    statuses: tuple[StreamStatus, ...] = ()
    steps: Mapping[StreamId, StepTiming] = field(default_factory=dict)
    "Timing of each hosted stream's tracking thread."
