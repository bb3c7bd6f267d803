"""SAM-2 weights on disk and in memory.

A checkpoint is a folder with `config.json` (transformers' `Sam2VideoConfig`) and
`model.safetensors`. Its tensors may carry the official names (facebookresearch/sam2, which nano and
the `grounding_encoder.sam2_model.*` part of Sa2VA use) or transformers' own (what
`Sam2VideoModel.save_pretrained` writes). Both name the same tensors, with two exceptions: the four
official point embeddings are one tensor here, and the one official position matrix is used by two
modules here. Whatever precision the file has, weights are float32 in memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Sam2VideoConfig, Sam2VideoModel

from engines.tracking.files import CONFIG_FILE, WEIGHTS_FILE, checkpoint_dir
from streaming.errors import CheckpointError

_MLP3 = r"(iou_prediction_head|pred_obj_score_head|object_pointer_proj|output_hypernetworks_mlps\.\d+)"

_RENAMES: Final = (
    # Three-layer and two-layer perceptrons; the order matters: layers.0 moves before proj_in takes its name.
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
_POINTS = "prompt_encoder.point_embed.weight"
_OFFICIAL_POINTS = "sam_prompt_encoder.point_embeddings"


@dataclass(frozen=True, slots=True, eq=False)
class TrackerWeights:
    """One SAM-2, read-only; any number of trackers may share it."""

    name: str
    model: Sam2VideoModel
    "float32, on the CPU, in eval mode, without gradients."

    @property
    def side_px(self) -> int:
        """Side of the square picture it looks at."""
        side: Any = self.model.config.image_size
        return int(side)


def load_tracker_weights(name_or_dir: str | Path) -> TrackerWeights:
    """Read `nano` (bundled) or a checkpoint folder; once per process, then shared by its streams.

    Raises NotFound where there is no such checkpoint, CheckpointError where the file cannot be read or its
    tensors do not fit the model that its config describes.
    """
    directory = checkpoint_dir(name_or_dir)
    try:
        config = Sam2VideoConfig.from_pretrained(directory)
        tensors = load_file(directory / WEIGHTS_FILE)
    except (OSError, ValueError, SafetensorError) as exc:
        raise CheckpointError(f"Cannot read {directory}: {exc}.") from exc
    model: Any = Sam2VideoModel(config)
    # The fused attention is computed wrong by OpenVINO 2026.4 (see graphs.py).
    model.set_attn_implementation("eager")
    fill(model, tensors)
    model.eval().requires_grad_(False)
    return TrackerWeights(str(name_or_dir), model)


def fill(model: Sam2VideoModel, tensors: dict[str, Tensor]) -> None:
    """Copy tensors with official or transformers names into a model; every one must be there and fit.

    Raises CheckpointError naming the first tensors that are missing, left over or of another shape.
    """
    wanted = model.state_dict()
    if any(name.startswith("vision_encoder.") for name in tensors):
        given = dict(tensors)
    else:
        given, tensors = _from_official(wanted, tensors)
        given.update(tensors)
    missing, surplus = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    bent = [
        f"{name} is {tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in sorted(wanted.keys() & given.keys())
        if given[name].shape != wanted[name].shape
    ]
    for fault, names in (("missing", missing), ("surplus", surplus), ("misshapen", bent)):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise CheckpointError(f"Tensors {fault}: {', '.join(names[:3])}{more}.")
    model.load_state_dict({name: tensor.float() for name, tensor in given.items()})


def save_tracker(model: Sam2VideoModel, directory: Path) -> None:
    """Write config.json and float16 weights under their official names, each renamed over the old file."""
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / (WEIGHTS_FILE + ".partial")
    save_file(to_official({k: v.half() for k, v in model.state_dict().items()}), partial)
    config = directory / (CONFIG_FILE + ".partial")
    config.write_text(model.config.to_json_string(use_diff=False))
    config.replace(directory / CONFIG_FILE)
    partial.replace(directory / WEIGHTS_FILE)


def official_name(name: str) -> str:
    """The official name of a transformers tensor; point embeddings apart (they are four there)."""
    for pattern, replacement in _RENAMES:
        name = re.sub(pattern, replacement, name)
    downsampler = re.match(r"(.*mask_downsampler)\.layers\.(\d+)\.(conv|norm)\.(.*)", name)
    if downsampler:
        stem, layer, part, rest = downsampler.groups()
        name = f"{stem}.encoder.{3 * int(layer) + (part == 'norm')}.{rest}"
    return name


def to_official(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformers state dict under official names."""
    official = {
        official_name(name): tensor.contiguous() for name, tensor in tensors.items() if name != _POINTS
    }
    for index, row in enumerate(tensors[_POINTS]):
        official[f"{_OFFICIAL_POINTS}.{index}.weight"] = row[None].clone()
    return official


def _from_official(
    wanted: dict[str, Tensor], tensors: dict[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tensors that a model wants under its own names, and those left over."""
    left = dict(tensors)
    given, used = {}, set()
    for name in wanted:
        if name != _POINTS and official_name(name) in left:
            given[name] = left[official_name(name)]
            used.add(official_name(name))
    points = [f"{_OFFICIAL_POINTS}.{index}.weight" for index in range(wanted[_POINTS].shape[0])]
    if all(name in left for name in points):
        given[_POINTS] = torch.cat([left[name] for name in points])
        used.update(points)
    return given, {name: tensor for name, tensor in left.items() if name not in used}
