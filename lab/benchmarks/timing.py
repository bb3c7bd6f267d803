"""How long parts of a frame take, on a CPU and on a GPU, whose work is done later than it is asked for."""

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
    """Marks moments of what is computed, and tells the time between two."""

    def mark(self) -> Any:
        """Now; in a queue, when all that was asked for until now is done."""
        ...

    def between_s(self, start: Any, end: Any) -> float:
        """Seconds from one mark to a later one."""
        ...


class CpuClock:
    """Work is done when it returns."""

    def mark(self) -> float:
        """See `Clock`."""
        return time.perf_counter()

    def between_s(self, start: float, end: float) -> float:
        """See `Clock`."""
        return end - start


class CudaClock:
    """Events in the GPU's queue."""

    def mark(self) -> Any:
        """See `Clock`."""
        event: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def between_s(self, start: Any, end: Any) -> float:
        """See `Clock`; waits for the later one."""
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3


def clock_of(device: torch.device) -> Clock:
    """Of the device that computes."""
    return CudaClock() if device.type == "cuda" else CpuClock()


class Stopwatch:
    """Adds up what parts take, until it is read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._taken: list[tuple[str, Any, Any]] = []

    def run(self, part: str, work: Callable[[], Any]) -> Any:
        """Do it, as that part."""
        start = self._clock.mark()
        done = work()
        self._taken.append((part, start, self._clock.mark()))
        return done

    def watch(self, part: str, module: nn.Module) -> None:
        """Count every call of a module as that part."""
        starts: list[Any] = []
        module.register_forward_pre_hook(lambda *_: starts.append(self._clock.mark()))
        module.register_forward_hook(lambda *_: self._taken.append((part, starts.pop(), self._clock.mark())))

    def lap(self) -> dict[str, float]:
        """Seconds of each part since the last lap."""
        spent: defaultdict[str, float] = defaultdict(float)
        for part, start, end in self._taken:
            spent[part] += self._clock.between_s(start, end)
        self._taken.clear()
        return dict(spent)


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """A program whose runs are counted as a part."""

    program: Program
    part: str
    stopwatch: Stopwatch

    def runner(self) -> Runner:
        """See `Program`."""
        runner = self.program.runner()

        def run(*inputs: Array) -> tuple[Array, ...]:
            done: tuple[Array, ...] = self.stopwatch.run(self.part, lambda: runner(*inputs))
            return done

        return run
