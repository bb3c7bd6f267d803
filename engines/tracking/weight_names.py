"""Map tensor names between the official packages (facebookresearch/sam2, EdgeTAM) and transformers.

The tensors are the same but for three cases: the four official point embeddings are one tensor in
transformers, the one official position matrix is held by two modules there, and EdgeTAM's perceiver projects
keys and values with one matrix officially and with two there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

_MLP3 = r"(iou_prediction_head|pred_obj_score_head|object_pointer_proj|output_hypernetworks_mlps\.\d+)"
_PERCEIVER = r"^(spatial_perceiver\.layers\.\d+\.)"

_RENAMES: Final = (
    # EdgeTAM's own modules, before the rules for names that they share with SAM-2's.
    (r"^vision_encoder\.backbone\.timm_model\.", r"image_encoder.trunk.body."),
    (r"^spatial_perceiver\.latents_1d", r"spatial_perceiver.latents"),
    (r"\.layer_norm_input\.", r".attn.norm_x."),
    (r"\.layer_norm_latents\.", r".attn.norm_latents."),
    (r"\.layer_norm_self\.", r".self_attn.norm."),
    (_PERCEIVER + r"(self_)?mlp\.layer_norm\.", r"\1\2ff.0."),
    (_PERCEIVER + r"(self_)?mlp\.up_proj\.", r"\1\2ff.1."),
    (_PERCEIVER + r"(self_)?mlp\.down_proj\.", r"\1\2ff.3."),
    (_PERCEIVER + r"cross_attention\.", r"\1attn."),
    (_PERCEIVER + r"self_attention\.", r"\1self_attn."),
    (_PERCEIVER + r"(self_)?attn\.q_proj\.", r"\1\2attn.to_q."),
    (_PERCEIVER + r"(self_)?attn\.[kv]_proj\.", r"\1\2attn.to_kv."),
    (_PERCEIVER + r"(self_)?attn\.o_proj\.", r"\1\2attn.to_out."),
    (r"^(memory_attention\.layers\.\d+)\.mlp\.up_proj\.", r"\1.linear1."),
    (r"^(memory_attention\.layers\.\d+)\.mlp\.down_proj\.", r"\1.linear2."),
    # Three- and two-layer MLPs, in this order: layers.0 is renamed before proj_in takes its name.
    (_MLP3 + r"\.layers\.0\.", r"\1.layers.1."),
    (_MLP3 + r"\.proj_in\.", r"\1.layers.0."),
    (_MLP3 + r"\.proj_out\.", r"\1.layers.2."),
    (r"\.mlp\.proj_in\.", r".mlp.layers.0."),
    (r"\.mlp\.proj_out\.", r".mlp.layers.1."),
    (r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv."),
    (r"^vision_encoder\.backbone\.", r"image_encoder.trunk."),
    (r"patch_embed\.projection", r"patch_embed.proj"),
    (
        r"^shared_image_embedding\.positional_embedding",
        r"prompt_encoder.shared_embedding.positional_embedding",
    ),
    (r"shared_embedding\.positional_embedding", r"pe_layer.positional_encoding_gaussian_matrix"),
    (r"mask_embed\.conv1", r"mask_downscaling.0"),
    (r"mask_embed\.layer_norm1", r"mask_downscaling.1"),
    (r"mask_embed\.conv2", r"mask_downscaling.3"),
    (r"mask_embed\.layer_norm2", r"mask_downscaling.4"),
    (r"mask_embed\.conv3", r"mask_downscaling.6"),
    (r"upscale_conv1", r"output_upscaling.0"),
    (r"upscale_layer_norm", r"output_upscaling.1"),
    (r"upscale_conv2", r"output_upscaling.3"),
    (r"mask_downsampler\.final_conv", r"mask_downsampler.encoder.12"),
    (r"^memory_encoder\.projection", r"memory_encoder.out_proj"),
    (r"depthwise_conv", r"dwconv"),
    (r"pointwise_conv", r"pwconv"),
    (r"memory_fuser\.(.*)\.scale", r"memory_fuser.\1.gamma"),
    (r"memory_fuser", r"fuser"),
    (r"feature_projection", r"pix_feat_proj"),
    (r"o_proj", r"out_proj"),
    (r"layer_norm", r"norm"),
    (r"^prompt_encoder", r"sam_prompt_encoder"),
    (r"^mask_decoder", r"sam_mask_decoder"),
    (r"^memory_temporal_positional_encoding", r"maskmem_tpos_enc"),
    (r"^temporal_positional_encoding_projection_layer", r"obj_ptr_tpos_proj"),
    (r"^occlusion_spatial_embedding_parameter", r"no_obj_embed_spatial"),
    (r"^no_memory_positional_encoding", r"no_mem_pos_enc"),
    (r"^no_memory_embedding", r"no_mem_embed"),
    (r"^no_object_pointer", r"no_obj_ptr"),
    (r"^object_pointer_proj", r"obj_ptr_proj"),
)
_POINTS: Final = "prompt_encoder.point_embed.weight"
_OFFICIAL_POINTS: Final = tuple(f"sam_prompt_encoder.point_embeddings.{index}.weight" for index in range(4))
_KEYS, _VALUES = re.compile(_PERCEIVER + r".*\.k_proj\."), re.compile(_PERCEIVER + r".*\.v_proj\.")


def official_name(name: str) -> str:
    """Return the official name of a transformers tensor other than the point embeddings."""
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    downsampler = re.match(r"(.*mask_downsampler)\.layers\.(\d+)\.(conv|norm)\.(.*)", name)
    if downsampler:
        stem, layer, part, rest = downsampler.groups()
        name = f"{stem}.encoder.{3 * int(layer) + (part == 'norm')}.{rest}"
    return name


def to_official(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a transformers state dict under official names."""
    official = {}
    for name, tensor in tensors.items():
        if name == _POINTS:
            rows = zip(_OFFICIAL_POINTS, tensor, strict=True)
            official.update({own: row[None].clone() for own, row in rows})
        elif _KEYS.match(name):
            values = tensors[name.replace(".k_proj.", ".v_proj.")]
            official[official_name(name)] = torch.cat([tensor, values])
        elif not _VALUES.match(name):
            official[official_name(name)] = tensor.contiguous()
    return official


def from_official(
    wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors of `wanted` under transformers names, and the unused ones under official names."""
    found, used = {}, set[str]()
    for name in wanted:
        sources = _OFFICIAL_POINTS if name == _POINTS else (official_name(name),)
        if all(source in tensors for source in sources):
            found[name] = _converted(name, [tensors[source] for source in sources])
            used.update(sources)
    return found, {name: tensor for name, tensor in tensors.items() if name not in used}


def _converted(name: str, official: list[Tensor]) -> Tensor:
    if _KEYS.match(name):
        return official[0].chunk(2)[0]
    if _VALUES.match(name):
        return official[0].chunk(2)[-1]
    return official[0] if len(official) == 1 else torch.cat(official)
