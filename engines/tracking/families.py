"""Model families: SAM 2.0 and 2.1 in four sizes, and EdgeTAM, as transformers configurations.

A folder has its configuration in `config.json`; for an official file, which has tensors only, it is derived
from them. Weights do not depend on the side of the input image, which can be chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from torch import Tensor
from transformers import EdgeTamVideoConfig, EdgeTamVideoModel, Sam2VideoConfig, Sam2VideoModel
from transformers.models.edgetam.configuration_edgetam import EdgeTamVisionConfig

from engines.tracking.repvit import RepVitConfig
from streaming.errors import CheckpointError, InvalidSettings

TrackerModel: TypeAlias = Sam2VideoModel | EdgeTamVideoModel
TrackerConfig: TypeAlias = Sam2VideoConfig | EdgeTamVideoConfig

PUBLISHED_PX: Final = 1024
"""Side of the input image in the training of every published model."""
_STRIDE: Final = 32


def _hiera(
    width: int, heads: int, blocks: tuple[int, ...], windows: tuple[int, ...], background: int
) -> dict[str, Any]:
    """Return a backbone configuration; width and heads double from stage to stage."""
    return {
        "hidden_size": width,
        "num_attention_heads": heads,
        "blocks_per_stage": list(blocks),
        "embed_dim_per_stage": [width << stage for stage in range(4)],
        "num_attention_heads_per_stage": [heads << stage for stage in range(4)],
        "window_size_per_stage": list(windows),
        "window_positional_embedding_background_size": [background, background],
    }


HIERA: Final[dict[tuple[int, int], dict[str, Any]]] = {
    (96, 12): {**_hiera(96, 1, (1, 2, 7, 2), (8, 4, 14, 7), 7), "global_attention_blocks": [5, 7, 9]},
    (96, 16): {**_hiera(96, 1, (1, 2, 11, 2), (8, 4, 14, 7), 7), "global_attention_blocks": [7, 10, 13]},
    (112, 24): {**_hiera(112, 2, (2, 3, 16, 3), (8, 4, 14, 7), 14), "global_attention_blocks": [12, 16, 20]},
    (144, 48): {**_hiera(144, 2, (2, 6, 36, 4), (8, 4, 16, 8), 7), "global_attention_blocks": [23, 33, 43]},
}
"""tiny, small, base-plus and large, by first width and number of blocks (facebookresearch/sam2, configs)."""
_SIZES: Final = dict(zip(("tiny", "small", "base-plus", "large"), HIERA, strict=True))
EDGETAM: Final = "edgetam"
FAMILY_NAMES: Final = (*(f"{version}-{size}" for version in ("sam2", "sam2.1") for size in _SIZES), EDGETAM)
"""Names of the published models in settings and commands."""

_TRUNK: Final = "image_encoder.trunk."


def build_model(config: TrackerConfig) -> TrackerModel:
    """Create a model with random weights."""
    kind: Any = EdgeTamVideoModel if isinstance(config, EdgeTamVideoConfig) else Sam2VideoModel
    model: Any = kind(config)
    # OpenVINO 2026.4 computes fused attention wrong (see memory_attention.py).
    model.set_attn_implementation("eager")
    return model  # type: ignore[no-any-return]


def config_from(values: Mapping[str, Any]) -> TrackerConfig:
    """Parse a folder's `config.json`. Raises ValueError or TypeError where it is no configuration."""
    if values.get("model_type") != EdgeTamVideoConfig.model_type:
        return Sam2VideoConfig.from_dict(dict(values))
    vision: dict[str, Any] = dict(values["vision_config"])
    backbone = vision.pop("backbone_config")
    if backbone.get("model_type") != RepVitConfig.model_type:
        if not str(backbone.get("architecture")).startswith("repvit_m1"):
            raise ValueError(f"its backbone is {backbone.get('architecture')}, not repvit_m1")
        backbone = {}
    return EdgeTamVideoConfig.from_dict(
        {**values, "vision_config": _edge_vision(RepVitConfig(**backbone), vision)}
    )


def published_config(tensors: Mapping[str, Tensor]) -> TrackerConfig:
    """Derive the configuration from official tensors. Raises CheckpointError for unknown models."""
    if f"{_TRUNK}body.stem.conv1.c.weight" in tensors:
        return _edgetam()
    patch = tensors.get(f"{_TRUNK}patch_embed.proj.weight")
    blocks = {name.split(".")[3] for name in tensors if name.startswith(f"{_TRUNK}blocks.")}
    hiera = HIERA.get((0 if patch is None else patch.shape[0], len(blocks)))
    if hiera is None:
        raise CheckpointError(
            "The tensors are not those of a published SAM-2 or EdgeTAM.",
            remedy="Other models load from a folder with config.json and model.safetensors.",
        )
    # Both tensors are new in 2.1.
    return _sam2(hiera, "obj_ptr_tpos_proj.weight" in tensors, "no_obj_embed_spatial" in tensors)


def family_config(name: str) -> TrackerConfig:
    """Return the configuration of one of FAMILY_NAMES."""
    if name == EDGETAM:
        return _edgetam()
    version, _, size = name.partition("-")
    newer = version == "sam2.1"
    return _sam2(HIERA[_SIZES[size]], newer, newer)


def family_name(config: TrackerConfig) -> str | None:
    """Return the name in FAMILY_NAMES of a configuration, whatever its image size; None for others."""
    if isinstance(config, EdgeTamVideoConfig):
        return EDGETAM
    vision: Any = config.vision_config
    backbone = vision.backbone_config
    key = (backbone.embed_dim_per_stage[0], sum(backbone.blocks_per_stage))
    size = next((size for size, known in _SIZES.items() if known == key), None)
    if size is None:
        return None
    return f"sam2.1-{size}" if config.enable_occlusion_spatial_embedding else f"sam2-{size}"


def with_image_size(config: TrackerConfig, side_px: int) -> TrackerConfig:
    """Return the configuration with another image size. Raises InvalidSettings where it is not supported."""
    step = _STRIDE
    if isinstance(config, EdgeTamVideoConfig):  # windows of its perceiver must have whole places
        step = math.lcm(step, 16 * math.isqrt(config.perceiver_resampler_num_latents_2d))
    if side_px <= 0 or side_px % step:
        raise InvalidSettings(
            f"This tracker does not support images of {side_px} px.", remedy=f"Choose a multiple of {step}."
        )
    values = config.to_dict()
    feature_px = side_px // 16
    values["image_size"] = values["prompt_encoder_config"]["image_size"] = side_px
    values["memory_attention_rope_feat_sizes"] = [feature_px, feature_px]
    vision = values["vision_config"]
    vision["backbone_feature_sizes"] = [[scale * feature_px] * 2 for scale in (4, 2, 1)]
    if "image_size" in vision["backbone_config"]:
        vision["backbone_config"]["image_size"] = [side_px, side_px]
    return config_from(values)


def _sam2(hiera: dict[str, Any], obj_ptr_tpos: bool, no_obj_embed_spatial: bool) -> Sam2VideoConfig:
    return Sam2VideoConfig(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {"model_type": "sam2_hiera_det_model", **hiera},
            "backbone_channel_list": hiera["embed_dim_per_stage"][::-1],
        },
        enable_temporal_pos_encoding_for_object_pointers=obj_ptr_tpos,
        enable_occlusion_spatial_embedding=no_obj_embed_spatial,
    )


def _edgetam() -> EdgeTamVideoConfig:
    return EdgeTamVideoConfig(
        vision_config=_edge_vision(RepVitConfig(), {}),
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
    )


def _edge_vision(backbone: RepVitConfig, values: Mapping[str, Any]) -> EdgeTamVisionConfig:
    return EdgeTamVisionConfig(
        **{**values, "backbone_config": backbone, "backbone_channel_list": list(backbone.widths)[::-1]}
    )
