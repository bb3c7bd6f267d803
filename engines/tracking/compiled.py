"""SAM-2's three graphs, compiled once per process and shared by its streams."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import transformers
from torch import nn

from engines.backends.graph import Backend, Graph, Port, Program
from engines.tracking import graphs
from engines.tracking.checkpoints import TrackerWeights

GIVEN_SLOTS: Final = 2
"""Conditioning memories a track keeps: the first and the last."""


@dataclass(frozen=True, slots=True)
class TrackerShape:
    """The sizes that a tracker's buffers follow from."""

    side_px: int
    "S, of the picture."
    map_px: int
    "Side of the stride-16 map; n = its square."
    channels: int
    "C"
    memory_channels: int
    "D"
    recent_memories: int
    recent_pointers: int

    @property
    def places(self) -> int:
        """n"""
        return self.map_px**2

    @property
    def low_px(self) -> int:
        """Side of the logits."""
        return 4 * self.map_px

    @property
    def memories(self) -> int:
        """M"""
        return GIVEN_SLOTS + self.recent_memories

    @property
    def pointers(self) -> int:
        """P"""
        return GIVEN_SLOTS + self.recent_pointers


@dataclass(frozen=True, slots=True, eq=False)
class CompiledTracker:
    """Programs and sizes; thread-safe, holds no memory of any stream."""

    name: str
    backend: str
    shape: TrackerShape
    encode: Program
    "See graphs.ImageEncoder."
    prompt: Program
    "See graphs.MaskPrompt."
    track: Program
    "See graphs.TrackStep."


def compile_tracker(weights: TrackerWeights, backend: Backend) -> CompiledTracker:
    """Compile the graphs of one checkpoint. Raises BackendUnavailable where the backend cannot."""
    encode, prompt, track = tracker_graphs(weights)
    return CompiledTracker(
        name=weights.name,
        backend=backend.name,
        shape=tracker_shape(weights),
        encode=backend.compile(encode),
        prompt=backend.compile(prompt),
        track=backend.compile(track),
    )


def tracker_shape(weights: TrackerWeights) -> TrackerShape:
    """Sizes of a checkpoint."""
    config = weights.model.config
    return TrackerShape(
        side_px=weights.side_px,
        map_px=int(weights.model.backbone_feature_sizes[-1][0]),
        channels=int(weights.model.hidden_dim),
        memory_channels=int(weights.model.mem_dim),
        recent_memories=int(config.num_maskmem) - 1,
        recent_pointers=int(config.max_object_pointers_in_encoder) - 1,
    )


def tracker_graphs(weights: TrackerWeights) -> tuple[Graph, Graph, Graph]:
    """Encode, prompt and track graphs; their batch of objects is open."""
    shape = tracker_shape(weights)
    fingerprint = _fingerprint(weights)
    side, low, channels = shape.side_px, shape.map_px, shape.channels
    levels = (
        Port("features", (1, channels, low, low)),
        Port("mid", (1, channels // 4, 2 * low, 2 * low)),
        Port("fine", (1, channels // 8, 4 * low, 4 * low)),
    )
    bank = (
        Port("memory", (None, shape.memories, shape.places, shape.memory_channels)),
        Port("memory_age", (None, shape.memories), "int64"),
        Port("memory_bias", (None, shape.memories)),
        Port("pointer", (None, shape.pointers, channels)),
        Port("pointer_age", (None, shape.pointers)),
        Port("pointer_bias", (None, shape.pointers)),
    )

    def graph(name: str, module: nn.Module, ports: tuple[Port, ...], outputs: tuple[str, ...]) -> Graph:
        return Graph(name, module.eval(), ports, outputs, fingerprint)

    encoder = graphs.ImageEncoder(weights.model)
    prompt, track = graphs.MaskPrompt(weights.model), graphs.TrackStep(weights.model)
    return (
        graph("encode", encoder, (Port("pixels", (1, side, side, 3), "uint8"),), encoder.outputs),
        graph("prompt", prompt, (*levels, Port("mask", (None, side, side))), prompt.outputs),
        graph("track", track, (*levels, *bank), track.outputs),
    )


def _fingerprint(weights: TrackerWeights) -> str:
    """Changes with the weights, with graphs.py and with transformers, whose modules it runs."""
    digest = hashlib.sha256(Path(graphs.__file__).read_bytes())
    digest.update(transformers.__version__.encode())
    digest.update(weights.model.config.to_json_string().encode())
    for name, tensor in weights.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
