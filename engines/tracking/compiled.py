"""SAM-2's graphs, compiled once per process and shared by its streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from engines.backends.graph import Backend, Program

if TYPE_CHECKING:
    from engines.tracking.checkpoints import TrackerWeights

GIVEN_SLOTS: Final = 2
"""Conditioning memories a track keeps where its checkpoint sets no limit: the first and the last."""

POINTS: Final = 8
"""Points of one click, a box counting as two: the slots of graphs.PointPrompt."""

GRAPHS: Final = ("encode", "prompt", "point", "track", "remember")
"""Names of the graphs, which are those of `CompiledTracker`'s programs."""

EMPTY_SLOT: Final = -1e4
"""Key bias of an empty slot; 0 where the slot holds something."""


@dataclass(frozen=True, slots=True)
class TrackerShape:
    """The sizes that a tracker's buffers follow from."""

    side_px: int
    "S, of the picture."
    map_px: int
    "Side of the stride-16 map."
    places: int
    "n, tokens of a memory: one for each place of the map, or fewer (`memory_form.py`)."
    channels: int
    "C"
    memory_channels: int
    "D"
    recent_memories: int
    recent_pointers: int
    given_memories: int = GIVEN_SLOTS
    "At least 2."

    @property
    def low_px(self) -> int:
        """Side of the logits."""
        return 4 * self.map_px

    @property
    def memories(self) -> int:
        """M"""
        return self.given_memories + self.recent_memories

    @property
    def pointers(self) -> int:
        """P"""
        return self.given_memories + self.recent_pointers


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
