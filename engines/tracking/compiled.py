"""SAM-2's graphs, compiled once per process and shared by its streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engines.backends.graph import Backend, Program
from engines.tracking.shape import TrackerShape

if TYPE_CHECKING:
    from engines.tracking.checkpoints import TrackerWeights

GRAPHS: Final = ("encode", "prompt", "point", "track", "remember")
"""Names of the graphs, which are those of `CompiledTracker`'s programs."""
GRAPH_CODE: Final = (
    "calibration",
    "families",
    "fpn",
    "graph_set",
    "graphs",
    "hiera",
    "mask_decoder",
    "memory_attention",
    "memory_encoder",
    "memory_layout",
    "repvit",
    "shape",
)
"Modules beside this one that make graphs of weights: what was compiled is known by what they say."


@dataclass(frozen=True, slots=True, eq=False)
class CompiledTracker:
    """Programs and sizes; thread-safe, holds no memory of any stream."""

    name: str
    backend: str
    shape: TrackerShape
    fingerprint: str
    "Changes with weights and graphs: memories belong to those that made them."
    encode: Program
    "See pyramid.PictureEncoder."
    prompt: Program
    "See graphs.MaskPrompt."
    point: Program
    "See graphs.PointPrompt."
    track: Program
    "See graphs.TrackStep."
    remember: Program
    "See graphs.Remember."


def compile_tracker(weights: TrackerWeights, backend: Backend) -> CompiledTracker:
    """Compile the graphs of one checkpoint. Raises BackendUnavailable where the backend cannot."""
    # Only here: whoever runs what was kept does without torch (see kept.py).
    from engines.tracking.graph_set import tracker_graphs, tracker_shape

    graphs = tracker_graphs(weights)
    programs = {graph.name: backend.compile(graph) for graph in graphs}
    shape = tracker_shape(weights)
    return CompiledTracker(weights.name, backend.name, shape, graphs[0].fingerprint, **programs)
