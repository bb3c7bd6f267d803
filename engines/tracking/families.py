"""Which model a checkpoint holds, in transformers' words: SAM 2.0 or 2.1 in one of four sizes, or EdgeTAM.

A folder says it in `config.json`. An official file has tensors only; they tell. Weights do not depend on the
side of the picture that is looked at, so that may be chosen.
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
"""The side that every published model was trained with."""
_STRIDE: Final = 32


def _hiera(
    width: int, heads: int, blocks: tuple[int, ...], windows: tuple[int, ...], background: int
) -> dict[str, Any]:
    """A backbone in transformers' words; width and heads double from stage to stage."""
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
"""tiny, small, base-plus and large by first width and number of blocks (facebookresearch/sam2, configs)."""
_SIZES: Final = dict(zip(("tiny", "small", "base-plus", "large"), HIERA, strict=True))
EDGETAM: Final = "edgetam"
FAMILY_NAMES: Final = (*(f"{version}-{size}" for version in ("sam2", "sam2.1") for size in _SIZES), EDGETAM)
"""What published models are called here."""

_TRUNK: Final = "image_encoder.trunk."


def model_of(config: TrackerConfig) -> TrackerModel:
    """A model of that configuration, not yet filled."""
    kind: Any = EdgeTamVideoModel if isinstance(config, EdgeTamVideoConfig) else Sam2VideoModel
    model: Any = kind(config)
    # The fused attention is computed wrong by OpenVINO 2026.4 (see attention.py).
    model.set_attn_implementation("eager")
    return model  # type: ignore[no-any-return]


def config_from(said: Mapping[str, Any]) -> TrackerConfig:
    """What a folder's `config.json` says. Raises ValueError or TypeError where that is no configuration."""
    if said.get("model_type") != EdgeTamVideoConfig.model_type:
        return Sam2VideoConfig.from_dict(dict(said))
    vision: dict[str, Any] = dict(said["vision_config"])
    backbone = vision.pop("backbone_config")
    if backbone.get("model_type") != RepVitConfig.model_type:
        if not str(backbone.get("architecture")).startswith("repvit_m1"):
            raise ValueError(f"its backbone is {backbone.get('architecture')}, not repvit_m1")
        backbone = {}
    return EdgeTamVideoConfig.from_dict(
        {**said, "vision_config": _edge_vision(RepVitConfig(**backbone), vision)}
    )


def published_config(tensors: Mapping[str, Tensor]) -> TrackerConfig:
    """What the tensors of an official file say, by their official names. Raises CheckpointError."""
    if f"{_TRUNK}body.stem.conv1.c.weight" in tensors:
        return _edgetam()
    patch = tensors.get(f"{_TRUNK}patch_embed.proj.weight")
    blocks = {name.split(".")[3] for name in tensors if name.startswith(f"{_TRUNK}blocks.")}
    hiera = HIERA.get((0 if patch is None else patch.shape[0], len(blocks)))
    if hiera is None:
        raise CheckpointError(
            "The tensors are of no published SAM-2 or EdgeTAM.",
            remedy="Other models load from a folder with config.json and model.safetensors.",
        )
    # What 2.1 has over 2.0.
    return _sam2(hiera, "obj_ptr_tpos_proj.weight" in tensors, "no_obj_embed_spatial" in tensors)


def family_config(name: str) -> TrackerConfig:
    """The published model of one of FAMILY_NAMES."""
    if name == EDGETAM:
        return _edgetam()
    version, _, size = name.partition("-")
    newer = version == "sam2.1"
    return _sam2(HIERA[_SIZES[size]], newer, newer)


def family_name(config: TrackerConfig) -> str | None:
    """Which of FAMILY_NAMES a configuration is of, at any side; None for one of another shape."""
    if isinstance(config, EdgeTamVideoConfig):
        return EDGETAM
    vision: Any = config.vision_config
    backbone = vision.backbone_config
    key = (backbone.embed_dim_per_stage[0], sum(backbone.blocks_per_stage))
    size = next((size for size, known in _SIZES.items() if known == key), None)
    if size is None:
        return None
    return f"sam2.1-{size}" if config.enable_occlusion_spatial_embedding else f"sam2-{size}"


def resized(config: TrackerConfig, side_px: int) -> TrackerConfig:
    """The same model looking at pictures of another side. Raises InvalidSettings where it cannot."""
    step = _STRIDE
    if isinstance(config, EdgeTamVideoConfig):  # every window of its perceiver has whole places
        step = math.lcm(step, 16 * math.isqrt(config.perceiver_resampler_num_latents_2d))
    if side_px <= 0 or side_px % step:
        raise InvalidSettings(
            f"This tracker cannot look at pictures of {side_px} px.", remedy=f"Take a multiple of {step}."
        )
    said = config.to_dict()
    low = side_px // 16
    said["image_size"] = said["prompt_encoder_config"]["image_size"] = side_px
    said["memory_attention_rope_feat_sizes"] = [low, low]
    vision = said["vision_config"]
    vision["backbone_feature_sizes"] = [[scale * low] * 2 for scale in (4, 2, 1)]
    if "image_size" in vision["backbone_config"]:
        vision["backbone_config"]["image_size"] = [side_px, side_px]
    return config_from(said)


def _sam2(hiera: dict[str, Any], timed_pointers: bool, marks_absence: bool) -> Sam2VideoConfig:
    return Sam2VideoConfig(
        vision_config={
            "model_type": "sam2_vision_model",
            "backbone_config": {"model_type": "sam2_hiera_det_model", **hiera},
            "backbone_channel_list": hiera["embed_dim_per_stage"][::-1],
        },
        enable_temporal_pos_encoding_for_object_pointers=timed_pointers,
        enable_occlusion_spatial_embedding=marks_absence,
    )


def _edgetam() -> EdgeTamVideoConfig:
    return EdgeTamVideoConfig(
        vision_config=_edge_vision(RepVitConfig(), {}),
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
    )


def _edge_vision(backbone: RepVitConfig, said: Mapping[str, Any]) -> EdgeTamVisionConfig:
    return EdgeTamVisionConfig(
        **{**said, "backbone_config": backbone, "backbone_channel_list": list(backbone.widths)[::-1]}
    )
