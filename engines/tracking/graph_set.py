"""The graphs of a checkpoint, with their ports, sizes and fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import transformers
from transformers import EdgeTamVideoModel

from engines.backends.graph import Backend, Graph, Port
from engines.tracking import graphs, hiera, image_encoder, memory_tokens, repvit
from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.compiled import GRAPH_SOURCES, CompiledTracker
from engines.tracking.families import TrackerModel
from engines.tracking.shape import COND_SLOTS, POINTS, TrackerShape


def tracker_shape(weights: TrackerWeights) -> TrackerShape:
    """Return the sizes of a checkpoint's buffers."""
    config = weights.model.config
    return TrackerShape(
        side_px=weights.side_px,
        feature_px=int(weights.model.backbone_feature_sizes[-1][0]),
        memory_tokens=len(memory_tokens.token_layout(weights.model).position),
        channels=int(weights.model.hidden_dim),
        memory_channels=int(weights.model.mem_dim),
        recent_memories=int(config.num_maskmem) - 1,
        recent_obj_ptrs=int(config.max_object_pointers_in_encoder) - 1,
        cond_memories=config.max_cond_frame_num if config.max_cond_frame_num > 1 else COND_SLOTS,
    )


def image_encoder_of(model: TrackerModel) -> image_encoder.ImageEncoder:
    """Create the image encoder of a model."""
    if isinstance(model, EdgeTamVideoModel):
        return repvit.RepVitImageEncoder(model)
    return hiera.HieraImageEncoder(model)


def compile_graphs(weights: TrackerWeights, graphs: Sequence[Graph], backend: Backend) -> CompiledTracker:
    """Compile a checkpoint's graphs. Raises BackendUnavailable where the backend cannot."""
    programs = {graph.name: backend.compile(graph) for graph in graphs}
    shape = tracker_shape(weights)
    return CompiledTracker(weights.name, backend.name, shape, graphs[0].fingerprint, **programs)


def uncalibrated_graphs(weights: TrackerWeights) -> tuple[Graph, ...]:
    """Create the graphs named in `compiled.GRAPHS`, in that order; their batch dimension (objects) is open.

    Without inputs for int8, which `calibration.calibrated_graphs` adds.
    """
    sizes = tracker_shape(weights)
    side, feature, channels = sizes.side_px, sizes.feature_px, sizes.channels
    features = Port("features", (1, channels, feature, feature))
    levels = (
        features,
        Port("high_res_s1", (1, channels // 4, 2 * feature, 2 * feature)),
        Port("high_res_s0", (1, channels // 8, 4 * feature, 4 * feature)),
    )
    bank = (
        Port("memory", (None, sizes.memories, sizes.memory_tokens, sizes.memory_channels)),
        Port("memory_age", (None, sizes.memories), "int64"),
        Port("memory_bias", (None, sizes.memories)),
        Port("obj_ptr", (None, sizes.obj_ptrs, channels)),
        Port("obj_ptr_age", (None, sizes.obj_ptrs)),
        Port("obj_ptr_bias", (None, sizes.obj_ptrs)),
    )
    click = (Port("points", (None, POINTS, 2)), Port("labels", (None, POINTS), "int64"))
    decoded = (
        Port("logits", (None, 4 * feature, 4 * feature)),
        Port("object_score", (None,)),
        Port("prompted", (None,), "bool"),
    )
    model, fingerprint = weights.model, fingerprint_of(weights)

    def graph(name: str, module: Any, ports: tuple[Port, ...]) -> Graph:
        return Graph(name, module.eval(), ports, module.outputs, fingerprint)

    pixels = Port("pixels", (1, side, side, 3), "uint8")
    return (
        graph("encode", image_encoder_of(model), (pixels,)),
        graph("prompt", graphs.MaskPrompt(model), (*levels, Port("mask", (None, side, side)))),
        graph("point", graphs.PointPrompt(model), (*levels, *click)),
        graph("track", graphs.TrackStep(model), (*levels, *bank)),
        graph("remember", graphs.EncodeMemory(model), (features, *decoded)),
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
