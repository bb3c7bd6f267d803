"""A small EdgeTAM with random weights under which no signal vanishes or explodes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import EdgeTamVideoConfig, EdgeTamVideoModel

from engines.tracking.families import build_model, with_image_size
from engines.tracking.repvit import RepVitConfig

SIDE = 128
"Of the input image, which gives a feature map of 8 by 8 places."


def edge_config(side_px: int = SIDE) -> EdgeTamVideoConfig:
    """EdgeTAM's layout, narrow and shallow; 16 local latents of two by two places, and 12 global ones."""
    widths = [16, 24, 32, 48]
    decoder = {"hidden_size": 128, "mlp_dim": 96, "num_attention_heads": 4, "iou_head_hidden_dim": 96}
    config = EdgeTamVideoConfig(
        vision_config={
            "model_type": "edgetam_vision_model",
            "backbone_config": RepVitConfig(widths=widths, depths=[1, 2, 2, 1]),
            "backbone_channel_list": widths[::-1],
            "fpn_hidden_size": 128,
        },
        prompt_encoder_config={"hidden_size": 128},
        mask_decoder_config=decoder,
        memory_attention_hidden_size=128,
        memory_attention_mlp_hidden_size=96,
        memory_attention_rope_k_sizes=[4, 4],
        perceiver_resampler_num_latents=12,
        perceiver_resampler_num_latents_2d=16,
        perceiver_resampler_mlp_intermediate_size=80,
        memory_encoder_hidden_size=128,
        mask_downsampler_embed_dim=128,
        memory_fuser_intermediate_dim=96,
        memory_fuser_embed_dim=128,
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
    )
    found = with_image_size(config, side_px)
    assert isinstance(found, EdgeTamVideoConfig)
    return found


def edge_model(seed: int = 0, presence: float = 3.0) -> EdgeTamVideoModel:
    """presence: bias of the object score."""
    model = build_model(edge_config())
    assert isinstance(model, EdgeTamVideoModel)
    init_weights(model.state_dict(), seed)
    with torch.no_grad():
        matrix = model.prompt_encoder.shared_embedding.positional_embedding
        model.shared_image_embedding.positional_embedding.copy_(matrix)
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(presence)
    return model.eval().requires_grad_(False)


@torch.no_grad()
def init_weights(state: Mapping[str, Tensor], seed: int = 0) -> None:
    """Fill tensors by their names with random values that keep signals near unit deviation."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in sorted(state.items()):
        noise = torch.randn(tensor.shape, generator=generator)
        if not tensor.is_floating_point():
            tensor.fill_(7)
        elif name.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
        elif name.endswith("scale") or (name.endswith("weight") and ("norm" in name or ".bn." in name)):
            added = "_mixer" in name or "ffn" in name  # residual branches
            tensor.copy_((0.4 if added else 1.0) + 0.1 * noise)
        elif name.endswith(("bias", "running_mean")):
            tensor.copy_(0.1 * noise)
        elif tensor.ndim > 1 and name.endswith("weight") and "embed" not in name.split(".")[-2]:
            tensor.copy_(noise * tensor[0].numel() ** -0.5)
        else:
            tensor.copy_(0.5 * noise)
