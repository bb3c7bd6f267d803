"""What is compiled of a checkpoint: its three graphs, with their ports and sizes."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import transformers
from torch import nn

from engines.backends.graph import Graph, Port
from engines.tracking import compiled, graphs
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compiled import TrackerShape


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
    fingerprint = fingerprint_of(weights)
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


def fingerprint_of(weights: TrackerWeights) -> str:
    """Changes with the weights, the code that makes graphs of them, and transformers, whose modules run."""
    digest = hashlib.sha256()
    for module in (graphs, compiled, sys.modules[__name__]):
        digest.update(Path(str(module.__file__)).read_bytes())
    digest.update(transformers.__version__.encode())
    digest.update(weights.model.config.to_json_string().encode())
    for name, tensor in weights.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
