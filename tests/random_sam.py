"""SAM 2.1 as published, with random weights: its graphs have the real sizes and shapes."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import nn
from transformers import Sam2VideoConfig, Sam2VideoModel

from engines.tracking.checkpoints import TrackerWeights

BACKBONES: Final[dict[str, dict[str, Any]]] = {
    "tiny": {
        "hidden_size": 96,
        "num_attention_heads": 1,
        "blocks_per_stage": [1, 2, 7, 2],
        "embed_dim_per_stage": [96, 192, 384, 768],
        "num_attention_heads_per_stage": [1, 2, 4, 8],
        "window_size_per_stage": [8, 4, 14, 7],
        "window_positional_embedding_background_size": [7, 7],
        "global_attention_blocks": [5, 7, 9],
    },
    "base_plus": {
        "hidden_size": 112,
        "num_attention_heads": 2,
        "blocks_per_stage": [2, 3, 16, 3],
        "embed_dim_per_stage": [112, 224, 448, 896],
        "num_attention_heads_per_stage": [2, 4, 8, 16],
        "window_size_per_stage": [8, 4, 14, 7],
        "window_positional_embedding_background_size": [14, 14],
        "global_attention_blocks": [12, 16, 20],
    },
}
"""configs/sam2.1/sam2.1_hiera_{t,b+}.yaml of facebookresearch/sam2."""


def random_sam(size: str, side_px: int) -> TrackerWeights:
    """Weights to compile, not to track with; the same ones each time."""
    torch.manual_seed(0)
    model: Any = Sam2VideoModel(_config(size, side_px))
    model.set_attn_implementation("eager")
    for parameter in model.parameters():
        if not parameter.any():  # what starts as zero would fold away
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
