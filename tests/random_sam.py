"""SAM 2.1 with random weights: its graphs have the published operations, widths and heads."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn
from transformers import Sam2VideoConfig, Sam2VideoModel

from engines.tracking.checkpoints import TrackerWeights
from engines.tracking.families import HIERA

BACKBONES: Final[dict[str, dict[str, Any]]] = {
    "tiny": {**HIERA[96, 12], "blocks_per_stage": [1, 2, 3, 2], "global_attention_blocks": [5]},
    "base_plus": {**HIERA[112, 24], "blocks_per_stage": [1, 2, 3, 2], "global_attention_blocks": [5]},
}
"The published image encoders, but for alike blocks that only repeat: a block of each kind in every stage."


def random_sam(size: str, side_px: int) -> TrackerWeights:
    """Seeded weights for compiling, not for tracking."""
    torch.manual_seed(0)
    model: Any = Sam2VideoModel(_config(size, side_px))
    model.set_attn_implementation("eager")
    for parameter in model.parameters():
        if not parameter.any():  # zeros would be folded away
            nn.init.normal_(parameter, std=0.02)
    model.eval().requires_grad_(False)
    return TrackerWeights(size, model)


def _config(size: str, side_px: int) -> Sam2VideoConfig:
    backbone, low = BACKBONES[size], side_px // 16
    vision = {
        "backbone_config": {"model_type": "sam2_hiera_det_model", "image_size": [side_px] * 2, **backbone},
        "backbone_channel_list": backbone["embed_dim_per_stage"][::-1],
        "backbone_feature_sizes": [[4 * low] * 2, [2 * low] * 2, [low] * 2],
    }
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": side_px},
        image_size=side_px,
        memory_attention_rope_feat_sizes=[low, low],
        enable_temporal_pos_encoding_for_object_pointers=True,
        enable_occlusion_spatial_embedding=True,
    )
