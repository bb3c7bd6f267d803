"""What an actor answers when its monitor asks whether it is alive, and the timing of tracking steps. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from actors.process_exit import pid_namespace
from streaming.status import StreamStatus
from streaming.vocabulary import StreamId

RECENT_STEPS: Final = 256
"Completed steps that an expected duration is taken from: about 10 s at 25 fps."


@dataclass(frozen=True, slots=True)
class StepTiming:
    """How a tracking thread is getting on. Durations, so that no clock is compared across processes."""

    running_s: float
    "For how long the present step has been running; 0.0 between steps."
    expected_s: float | None
    """The longest recent step of its kind, scaled to its number of objects. None: no step of the kind was
    completed since the tracker was made or reset, or a model is being compiled in it."""


class StepClock:
    """Times the steps of one tracking thread, on the monotonic clock. That thread writes, any may read.

    There are two kinds of steps. Without objects a tracker computes nothing: such steps take milliseconds,
    and say nothing about a step that encodes an image, which takes seconds with SAM-2 on a CPU.
    """

    def __init__(self, compilations: Callable[[], int]) -> None:
        """`compilations` returns how many compilations were begun in this process."""
        self._compilations = compilations
        self._began: tuple[float, int] | None = None
        "When the present step began, and the compilations begun until then."
        self._without_objects: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS)
        self._with_objects: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS)
        "Duration and number of objects of each completed step."

    def begin(self, now_s: float) -> None:
        """Record that a step begins."""
        self._began = (now_s, self._compilations())

    def complete(self, now_s: float, planned: int, tracked: int) -> None:
        """Record that the step ended with a result.

        planned: objects to track and masks of answers, as for `timing`. tracked: objects in the result. A
        step that planned some and tracked none, or compiled a model, is no measure for others and is not
        recorded.
        """
        if self._began is not None and self._began[1] == self._compilations():
            took_s = now_s - self._began[0]
            if planned == 0:
                self._without_objects.append((took_s, 1))
            elif tracked > 0:
                self._with_objects.append((took_s, tracked))
        self._began = None

    def abort(self) -> None:
        """Record that the step ended with an exception: it may have ended early."""
        self._began = None

    def begin_reset(self, now_s: float) -> None:
        """Record that a reset of the tracker begins: steps may take as long as the first ones again."""
        self._without_objects.clear()
        self._with_objects.clear()
        self.begin(now_s)

    def timing(self, now_s: float, planned: int) -> StepTiming:
        """Return the timing at `now_s` of a step with that many objects and masks of answers. Any thread."""
        began = self._began
        if began is None:
            return StepTiming(0.0, self._expected_s(planned))
        expected_s = self._expected_s(planned) if began[1] == self._compilations() else None
        return StepTiming(max(0.0, now_s - began[0]), expected_s)

    def _expected_s(self, planned: int) -> float | None:
        # `tuple` copies the deque without releasing the GIL; `max` alone could meet an append.
        steps = tuple(self._with_objects if planned else self._without_objects)
        if not steps:
            return None
        longest_s, objects = max(steps)
        return longest_s * max(1.0, planned / objects)


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
    namespace: str = field(default_factory=pid_namespace)
    "Among which processes `pid` is unique, see `process_exit.py`."
