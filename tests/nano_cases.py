"""One realistic call of every graph of nano, with torch's outputs."""

from __future__ import annotations

from functools import cache

import numpy as np

from engines.backends.graph import Array
from engines.backends.parity_check import ParityReference, ReferenceCall
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.compilation import tracker_graphs
from lab.training.world.holdout import HELD_OUT_SEED
from lab.training.world.scenes import draw_clip


@cache
def nano_cases() -> tuple[ReferenceCall, ...]:
    """One call of each graph: a drawn image with the masks of its objects, all memory ages and biases 0."""
    clip = draw_clip(HELD_OUT_SEED + 7, frames=1)
    graphs = tracker_graphs(load_tracker_weights("nano"))
    known: dict[str, Array] = {"pixels": clip.frames[:1], "mask": clip.masks[0].astype(np.float32)}
    for port in (port for graph in graphs for port in graph.ports):
        if port.name.endswith(("_age", "_bias")):  # memories of age 0, no masked slot
            known[port.name] = np.zeros((1,) * len(port.shape), port.dtype)
    reference = ParityReference(known, objects=len(clip.labels))
    return tuple(reference.call(graph) for graph in graphs)


def largest_errors(case: ReferenceCall, outputs: tuple[Array, ...]) -> dict[str, float]:
    """By output: the largest difference relative to torch's largest value."""
    pairs = zip(case.graph.outputs, outputs, case.expected, strict=True)
    return {name: float(np.abs(a - b).max() / np.abs(b).max()) for name, a, b in pairs}
