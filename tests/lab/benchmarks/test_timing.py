"""Times of parts of a frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from engines.backends.torch_backend import TorchBackend
from lab.benchmarks.timing import CpuClock, Stopwatch, TimedProgram, clock_for
from tests.toy_graph import toy_graph


@dataclass
class CountingClock:
    """A clock that advances by 1 s with every mark."""

    now: list[int] = field(default_factory=lambda: [0])

    def mark(self) -> int:
        self.now[0] += 1
        return self.now[0]

    def between_s(self, start: int, end: int) -> float:
        return end - start


def test_times_are_summed_until_the_lap_is_read() -> None:
    watch = Stopwatch(CountingClock())
    assert watch.run("a", lambda: 5) == 5
    watch.run("b", lambda: watch.run("a", lambda: None))
    assert watch.lap() == {"a": 2.0, "b": 3.0}
    assert watch.lap() == {}


def test_every_call_of_a_module_is_timed() -> None:
    watch, module = Stopwatch(CountingClock()), nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    watch.time_module("whole", module)
    watch.time_module("inner", module[0])
    for _ in range(2):
        module(torch.zeros(1, 2))
    assert watch.lap() == {"whole": 6.0, "inner": 2.0}


def test_a_timed_program_returns_the_programs_outputs() -> None:
    graph = toy_graph()
    program, watch = TorchBackend().compile(graph), Stopwatch(CpuClock())
    inputs = [port.example(2).numpy() for port in graph.ports]
    timed = TimedProgram(program, "toy", watch).runner()(*inputs)
    assert all(np.array_equal(*pair) for pair in zip(timed, program.runner()(*inputs), strict=True))
    assert watch.lap()["toy"] > 0


def test_a_cpu_is_timed_by_the_wall_clock() -> None:
    assert isinstance(clock_for(torch.device("cpu")), CpuClock)
