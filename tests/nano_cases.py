"""Every graph of nano, called as a tracker would call it, and what torch makes of it."""

from __future__ import annotations

from functools import cache

import numpy as np

from engines.backends.graph import Array
from engines.backends.parity_check import Call, Reference
from engines.tracking.checkpoints import load_tracker_weights
from engines.tracking.compilation import tracker_graphs
from lab.training.world.holdout import HELD_OUT_SEED
from lab.training.world.scenes import draw_clip


@cache
def nano_cases() -> tuple[Call, ...]:
    """One call of each graph: a drawn picture with the masks of its things, all memories new."""
    clip = draw_clip(HELD_OUT_SEED + 7, frames=1)
    graphs = tracker_graphs(load_tracker_weights("nano"))
    known: dict[str, Array] = {"pixels": clip.frames[:1], "mask": clip.masks[0].astype(np.float32)}
    for port in (port for graph in graphs for port in graph.ports):
        if port.name.endswith(("_age", "_bias")):  # nothing is old, and nothing hidden
            known[port.name] = np.zeros((1,) * len(port.shape), port.dtype)
    reference = Reference(known, objects=len(clip.things))
    return tuple(reference.call(graph) for graph in graphs)


def largest_errors(case: Call, outputs: tuple[Array, ...]) -> dict[str, float]:
    """By output: the largest difference, in parts of the largest number torch gave."""
    pairs = zip(case.graph.outputs, outputs, case.expected, strict=True)
    return {name: float(np.abs(a - b).max() / np.abs(b).max()) for name, a, b in pairs}
