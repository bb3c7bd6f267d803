"""Every graph of nano with inputs as a tracker would give them, and what torch makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from engines.backends.graph import Array, Graph, Port
from engines.backends.torch_backend import TorchBackend
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.files import NANO_DIR
from engines.tracking.graph_set import tracker_graphs
from engines.training.world.holdout import HELD_OUT_SEED
from engines.training.world.scenes import draw_clip


@dataclass(frozen=True)
class Case:
    """One graph, called once."""

    graph: Graph
    inputs: tuple[Array, ...]
    expected: tuple[Array, ...]


@cache
def nano_cases() -> tuple[Case, ...]:
    """One for each graph, in their order; what one gives, the next ones take."""
    if not NANO_DIR.is_dir():
        pytest.skip("the bundled weights are not there")
    clip = draw_clip(HELD_OUT_SEED + 7, frames=1)
    known: dict[str, Array] = {"pixels": clip.frames[:1], "mask": clip.masks[0].astype(np.float32)}
    objects, cases = len(clip.things), []
    for graph in tracker_graphs(load_tracker_weights("nano")):
        inputs = tuple(_input(port, known, objects) for port in graph.ports)
        outputs = TorchBackend().compile(graph).runner()(*inputs)
        expected = tuple(output.copy() for output in outputs)
        known |= dict(zip(graph.outputs, expected, strict=True))
        cases.append(Case(graph, inputs, expected))
    return tuple(cases)


def _input(port: Port, known: dict[str, Array], objects: int) -> Array:
    """What is known of that name, in every slot there is; else zeros: of age 0, and nothing hidden."""
    shape = tuple(objects if size is None else size for size in port.shape)
    value = known.get(port.name)
    if value is None:
        return np.zeros(shape, port.dtype)
    slotted = value if value.ndim == len(shape) else value[:, None]
    return np.array(np.broadcast_to(slotted, shape))


def relative_errors(ours: tuple[Array, ...], case: Case) -> dict[str, float]:
    """By output: the largest difference, in parts of the largest number torch gave."""
    pairs = zip(case.graph.outputs, ours, case.expected, strict=True)
    return {name: float(np.abs(a - b).max() / np.abs(b).max()) for name, a, b in pairs}
