"""Time parts of a frame: by the wall clock on a CPU, by events on a GPU, whose kernels run asynchronously."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from engines.backends.graph import Array, Program, Runner


class Clock(Protocol):
    """Marks points in a device's work and measures the time between them."""

    def mark(self) -> Any:
        """Mark the point at which all work enqueued so far is done."""
        ...

    def between_s(self, start: Any, end: Any) -> float:
        """Return the seconds between two marks."""
        ...


class CpuClock:
    """Wall clock: a call returns when its work is done."""

    def mark(self) -> float:
        """See `Clock`."""
        return time.perf_counter()

    def between_s(self, start: float, end: float) -> float:
        """See `Clock`."""
        return end - start


class CudaClock:
    """CUDA events on the current stream."""

    def mark(self) -> Any:
        """See `Clock`."""
        event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def between_s(self, start: Any, end: Any) -> float:
        """See `Clock`; waits for the end mark."""
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3


def clock_for(device: torch.device) -> Clock:
    """Return the clock of a device."""
    return CudaClock() if device.type == "cuda" else CpuClock()


class Stopwatch:
    """Sums up the time of each part between laps."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._marks: list[tuple[str, Any, Any]] = []

    def run(self, part: str, work: Callable[[], Any]) -> Any:
        """Call `work`, timed as that part."""
        start = self._clock.mark()
        result = work()
        self._marks.append((part, start, self._clock.mark()))
        return result

    def time_module(self, part: str, module: nn.Module) -> None:
        """Time every call of a module as that part, by hooks."""
        starts: list[Any] = []
        module.register_forward_pre_hook(lambda *_: starts.append(self._clock.mark()))
        module.register_forward_hook(lambda *_: self._marks.append((part, starts.pop(), self._clock.mark())))

    def lap(self) -> dict[str, float]:
        """Return the seconds of each part since the last lap."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for part, start, end in self._marks:
            seconds[part] += self._clock.between_s(start, end)
        self._marks.clear()
        return dict(seconds)


@dataclass(frozen=True, slots=True, eq=False)
class TimedProgram:
    """A compiled program whose runs are timed as a part."""

    program: Program
    part: str
    stopwatch: Stopwatch

    def runner(self) -> Runner:
        """See `Program`."""
        runner = self.program.runner()

        def run(*inputs: Array) -> tuple[Array, ...]:
            outputs: tuple[Array, ...] = self.stopwatch.run(self.part, lambda: runner(*inputs))
            return outputs

        return run
