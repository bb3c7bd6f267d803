"""The compiled graphs of one checkpoint: loaded once per process and shared by its streams."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engines.backends.graph import Program
from engines.tracking.shape import TrackerShape

GRAPHS: Final = ("encode", "prompt", "point", "track", "remember")
"""Names of the graphs, which are also the names of `CompiledTracker`'s programs."""
GRAPH_SOURCES: Final = tuple(
    Path(__file__).with_name(name)
    for name in (
        "calibration.npz",
        "calibration.py",
        "families.py",
        "image_encoder.py",
        "graph_set.py",
        "graphs.py",
        "hiera.py",
        "mask_decoder.py",
        "memory_attention.py",
        "memory_encoder.py",
        "memory_tokens.py",
        "repvit.py",
        "shape.py",
    )
)
"Files that a compiled graph follows from, beside the weights: a change in any of them is a new fingerprint."


@dataclass(frozen=True, slots=True, eq=False)
class CompiledTracker:
    """Programs and sizes; thread-safe, holds no memory of any stream."""

    name: str
    backend: str
    shape: TrackerShape
    fingerprint: str
    "Changes with weights and graphs: memories are valid only with the graphs that wrote them."
    encode: Program
    "See fpn.ImageEncoder."
    prompt: Program
    "See graphs.MaskPrompt."
    point: Program
    "See graphs.PointPrompt."
    track: Program
    "See graphs.TrackStep."
    remember: Program
    "See graphs.EncodeMemory."
