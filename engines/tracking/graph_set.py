"""What is compiled of a checkpoint: its graphs, with their ports and sizes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import transformers
from transformers import EdgeTamVideoModel

from engines.backends.graph import Backend, Graph, Port
from engines.tracking import fpn, graphs, hiera, memory_layout, repvit
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compiled import GRAPH_SOURCES, CompiledTracker
from engines.tracking.families import TrackerModel
from engines.tracking.shape import GIVEN_SLOTS, POINTS, TrackerShape


def tracker_shape(weights: TrackerWeights) -> TrackerShape:
    """Sizes of a checkpoint."""
    config = weights.model.config
    return TrackerShape(
        side_px=weights.side_px,
        map_px=int(weights.model.backbone_feature_sizes[-1][0]),
        places=len(memory_layout.layout_of(weights.model).position),
        channels=int(weights.model.hidden_dim),
        memory_channels=int(weights.model.mem_dim),
        recent_memories=int(config.num_maskmem) - 1,
        recent_pointers=int(config.max_object_pointers_in_encoder) - 1,
        given_memories=config.max_cond_frame_num if config.max_cond_frame_num > 1 else GIVEN_SLOTS,
    )


def encoder_of(model: TrackerModel) -> fpn.PictureEncoder:
    """The picture encoder of a model."""
    return repvit.EdgeEncoder(model) if isinstance(model, EdgeTamVideoModel) else hiera.ImageEncoder(model)


def compile_graphs(weights: TrackerWeights, graphs: Sequence[Graph], backend: Backend) -> CompiledTracker:
    """Compile a checkpoint's graphs. Raises BackendUnavailable where the backend cannot."""
    programs = {graph.name: backend.compile(graph) for graph in graphs}
    shape = tracker_shape(weights)
    return CompiledTracker(weights.name, backend.name, shape, graphs[0].fingerprint, **programs)


def uncalibrated_graphs(weights: TrackerWeights) -> tuple[Graph, ...]:
    """The graphs named in `compiled.GRAPHS`, in that order; the batch dimension of objects is open.

    They carry no inputs for int8: see `calibration.calibrated_graphs`.
    """
    sizes = tracker_shape(weights)
    side, low, channels = sizes.side_px, sizes.map_px, sizes.channels
    features = Port("features", (1, channels, low, low))
    levels = (
        features,
        Port("mid", (1, channels // 4, 2 * low, 2 * low)),
        Port("fine", (1, channels // 8, 4 * low, 4 * low)),
    )
    bank = (
        Port("memory", (None, sizes.memories, sizes.places, sizes.memory_channels)),
        Port("memory_age", (None, sizes.memories), "int64"),
        Port("memory_bias", (None, sizes.memories)),
        Port("pointer", (None, sizes.pointers, channels)),
        Port("pointer_age", (None, sizes.pointers)),
        Port("pointer_bias", (None, sizes.pointers)),
    )
    click = (Port("points", (None, POINTS, 2)), Port("labels", (None, POINTS), "int64"))
    decoded = (
        Port("logits", (None, 4 * low, 4 * low)),
        Port("score", (None,)),
        Port("prompted", (None,), "bool"),
    )
    model, fingerprint = weights.model, fingerprint_of(weights)

    def graph(name: str, module: Any, ports: tuple[Port, ...]) -> Graph:
        return Graph(name, module.eval(), ports, module.outputs, fingerprint)

    pixels = Port("pixels", (1, side, side, 3), "uint8")
    return (
        graph("encode", encoder_of(model), (pixels,)),
        graph("prompt", graphs.MaskPrompt(model), (*levels, Port("mask", (None, side, side)))),
        graph("point", graphs.PointPrompt(model), (*levels, *click)),
        graph("track", graphs.TrackStep(model), (*levels, *bank)),
        graph("remember", graphs.Remember(model), (features, *decoded)),
    )


def fingerprint_of(weights: TrackerWeights) -> str:
    """Return a digest of the weights, GRAPH_SOURCES and the version of transformers, whose modules run."""
    digest = hashlib.sha256()
    for path in GRAPH_SOURCES:
        digest.update(path.read_bytes())
    digest.update(transformers.__version__.encode())
    digest.update(weights.model.config.to_json_string().encode())
    for name, tensor in weights.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
