"""Compute roofline: FLOPs of a frame, and the peak FLOPs per second of the device's matrix product."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import tracker_graphs
from lab.benchmarks.candidates import PARTS
from lab.benchmarks.timing import clock_for

_SIDES: Final = {"cpu": 768, "cuda": 8192}
"""Side of the square matrices: large enough to use the whole device, on a CPU small enough that a product
ends within a scheduler's time slice."""
_REPEATS: Final = 20


def frame_flops(weights: TrackerWeights, objects: int) -> int:
    """Count the FLOPs (a multiply-add is 2) of a frame's matrix products and convolutions."""
    graphs = [graph for graph in tracker_graphs(weights) if graph.name in PARTS]
    counter = FlopCounterMode(display=False)
    # Fake tensors have shapes and no data: nothing is computed.
    with FakeTensorMode(allow_non_fake_inputs=True), counter:
        for graph in graphs:
            graph.module(*(port.example(objects) for port in graph.ports))
    return int(counter.get_total_flops())


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the FLOPs per second of torch's product of two square matrices, the best of 20."""
    side = _SIDES[device.type]
    clock = clock_for(device)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    times_s = []
    for _ in range(1 + _REPEATS):
        start: Any = clock.mark()
        a @ b
        times_s.append(clock.between_s(start, clock.mark()))
    return 2 * side**3 / min(times_s[1:])
