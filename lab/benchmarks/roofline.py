"""How much a frame asks of a device at least, and how much of that it can do: the share of the peak."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compilation import tracker_graphs
from lab.benchmarks.candidates import PARTS
from lab.benchmarks.timing import clock_of

_SIDES: Final = {"cpu": 768, "cuda": 8192}
"""Of the square matrices: large enough for the device to be busy, and on a CPU small enough to be done before
another process gets its turn."""
_REPEATS: Final = 20


def frame_flops(weights: TrackerWeights, objects: int) -> int:
    """Multiplications and additions of the matrix products and convolutions of one frame."""
    graphs = [graph for graph in tracker_graphs(weights) if graph.name in PARTS]
    counter = FlopCounterMode(display=False)
    # Nothing is computed: tensors of shapes alone.
    with FakeTensorMode(allow_non_fake_inputs=True), counter:
        for graph in graphs:
            graph.module(*(port.example(objects) for port in graph.ports))
    return int(counter.get_total_flops())


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Multiplications and additions a second of torch's fastest product of two matrices."""
    side = _SIDES[device.type]
    clock = clock_of(device)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    taken_s = []
    for _ in range(1 + _REPEATS):
        start: Any = clock.mark()
        a @ b
        taken_s.append(clock.between_s(start, clock.mark()))
    return 2 * side**3 / min(taken_s[1:])
