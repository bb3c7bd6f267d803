"""SAM-2's video model as five graphs with fixed, named shapes.

transformers' `Sam2VideoModel` or `EdgeTamVideoModel` holds the weights; its video session decides in Python,
frame by frame and object by object, what to compute. Here the same computation is modules that a backend can
compile once and that can be trained as they are. Names of the graphs, which `saccade export` and
`bench` show, in parentheses:

    ImageEncoder (encode)    image                       -> features at strides 16, 8, 4 (image_encoder.py)
    MaskPrompt (prompt)      features, mask prompt       -> object pointer, memory
    PointPrompt (point)      features, points and box    -> logits, IoU, object score, object pointer
    TrackStep (track)        features, memories          -> logits, IoU, object score, object pointer
    EncodeMemory (remember)  features, decoder output    -> memory

Shapes: B objects, C hidden channels, h·w places of the stride-16 map, n tokens of a memory (as many, or
fewer: `memory_tokens.py`), M memory slots, P object pointer slots, D = 64 memory channels, S the image's
side. All objects of a frame share its features, so that what does not depend on memory (the first
self-attention) is computed once instead of B times.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.tracking.families import TrackerModel
from engines.tracking.mask_decoder import (
    BestOfMultimask,
    MaskSelection,
    SamHeads,
    SingleMask,
    multimask_candidates,
    single_mask_selection,
)
from engines.tracking.memory_attention import MemoryAttention, per_object, to_tokens
from engines.tracking.memory_encoder import MemoryEncoder
from engines.tracking.shape import EMPTY_SLOT

NO_OBJ_LOGIT: Final = -1024.0
"""Logit of every pixel where the object score is negative (SAM-2's NO_OBJ_SCORE)."""


class MaskPrompt(nn.Module):
    """Encode a mask prompt as a conditioning memory (sam2_base.py, `_use_mask_as_output`).

    in   features (1, C, h, w), high_res_s1 (1, C/4, 2h, 2w), high_res_s0 (1, C/8, 4h, 4w);
         mask (B, S, S) float32, 0 or 1
    out  obj_ptr (B, C); memory (B, n, D) of the mask at full size
    """

    outputs = ("obj_ptr", "memory")

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.heads = SamHeads(model)
        self.memory = MemoryEncoder(model)
        self.mask_downsample = model.mask_downsample
        self.mask_embed = model.prompt_encoder.mask_embed
        # SAM-2 takes the single mask's token. A model without multimask output in its configuration is nano,
        # which was trained with transformers' default here, the best multimask output.
        in_sam = model.config.multimask_output_in_sam
        self.selection: MaskSelection = SingleMask() if in_sam else BestOfMultimask()

    def forward(
        self, features: Tensor, high_res_s1: Tensor, high_res_s0: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See the class."""
        dense = self.mask_embed(self.mask_downsample(mask[:, None]))
        per_mask = per_object(features, mask.shape[0])
        levels = (high_res_s1, high_res_s0)
        chosen, object_score = self.heads(to_tokens(per_mask), levels, dense, self.selection)
        present = mask.amax(dim=(1, 2)) > 0
        obj_ptr = self.heads.obj_ptr(chosen.token, (object_score > 0) & present)
        return obj_ptr, self.memory(per_mask, mask, present)


class PointPrompt(nn.Module):
    """Decode points and a box without memory.

    in   features (1, C, h, w), high_res_s1 (1, C/4, 2h, 2w), high_res_s0 (1, C/8, 4h, 4w)
         points (B, K, 2) float32, x and y in pixels of the image, 0..S
         labels (B, K) int64: 1 on the object, 0 beside it, 2 and 3 a box's upper left and lower right, -1 for
         an empty slot
    out  logits (B, 4h, 4w), also where the object score is negative; iou (B,) 0..1; object_score (B,);
         obj_ptr (B, C)
    """

    outputs = ("logits", "iou", "object_score", "obj_ptr")

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.heads = SamHeads(model)
        self.embedding = model.prompt_encoder.shared_embedding
        self.point_embed = model.prompt_encoder.point_embed
        self.no_mask_embed = model.prompt_encoder.no_mask_embed
        self.no_mem_embed = model.no_memory_embedding
        config: Any = model.config
        self.side = float(config.image_size)
        self.single_mask = single_mask_selection(config)
        # Numbers of points with multimask output (sam2_base.py, `_use_multimask`); 1 to 0 means never.
        in_sam = config.multimask_output_in_sam
        self.multimask_min_points: int = config.multimask_min_pt_num if in_sam else 1
        self.multimask_max_points: int = config.multimask_max_pt_num if in_sam else 0

    def forward(
        self, features: Tensor, high_res_s1: Tensor, high_res_s0: Tensor, points: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        objects = labels.shape[0]
        used = labels >= 0
        # Pixel centres; upstream pads every prompt with one "not a point" token.
        embedded = self.embedding((points + 0.5) / self.side) + self.point_embed(labels.clamp(min=0))
        padding = self.heads.not_a_point.weight.expand(objects, 1, -1)
        sparse = torch.cat([embedded, padding], dim=1)
        bias = functional.pad((~used).float() * EMPTY_SLOT, (0, 1))
        # As sam2_base.py, `directly_add_no_mem_embed`: without memory there is no memory attention.
        added = self.no_mask_embed.weight.reshape(1, -1, 1, 1) + self.no_mem_embed.reshape(1, -1, 1, 1)
        tokens = per_object(to_tokens(features + added), objects)
        candidates = self.heads.decode(tokens, (high_res_s1, high_res_s0), sparse, bias, slice(None))
        single = self.single_mask(candidates)
        best = BestOfMultimask()(multimask_candidates(candidates))
        count = used.sum(dim=1)
        multimask = (count >= self.multimask_min_points) & (count <= self.multimask_max_points)
        logits = torch.where(multimask[:, None, None], best.mask, single.mask)
        iou = torch.where(multimask, best.iou, single.iou)
        token = torch.where(multimask[:, None], best.token, single.token)
        object_score = candidates.object_score
        return logits, iou, object_score, self.heads.obj_ptr(token, object_score > 0)


class TrackStep(nn.Module):
    """Attend to the memories of B objects and decode their masks (sam2_base.py, `track_step`).

    in   features (1, C, h, w), high_res_s1 (1, C/4, 2h, 2w), high_res_s0 (1, C/8, 4h, 4w)
         memory (B, M, n, D); memory_age (B, M) int64, 0 for a conditioning memory, k for the k-th last frame;
         memory_bias (B, M), 0 or EMPTY_SLOT
         obj_ptr (B, P, C); obj_ptr_age (B, P) float32, in frames; obj_ptr_bias (B, P), 0 or EMPTY_SLOT
    out  logits (B, 4h, 4w), also where the object score is negative; iou (B,) predicted IoU, 0..1;
         object_score (B,) logit of presence; new_obj_ptr (B, C)
    """

    outputs = ("logits", "iou", "object_score", "new_obj_ptr")
    ignored_scope = (r".*/heads/", r".*/[vo]_proj")
    """Left in floating point by int8 (`Calibration.ignored_scope`), in the same time: the mask decoder
    (relative RMS error of the logits 0.006 instead of 0.016) and the projections of values and attention
    outputs (masks agree by 0.983 instead of 0.969, as in `hiera.py`)."""

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        config: Any = model.config
        multimask = config.multimask_output_in_sam and config.multimask_output_for_tracking
        multimask = multimask and config.multimask_min_pt_num == 0
        self.selection: MaskSelection = BestOfMultimask() if multimask else single_mask_selection(config)
        self.attention = MemoryAttention(model)
        self.heads = SamHeads(model)
        self.no_mask_embed = model.prompt_encoder.no_mask_embed

    def forward(
        self,
        features: Tensor,
        high_res_s1: Tensor,
        high_res_s0: Tensor,
        memory: Tensor,
        memory_age: Tensor,
        memory_bias: Tensor,
        obj_ptr: Tensor,
        obj_ptr_age: Tensor,
        obj_ptr_bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        bank = (memory, memory_age, memory_bias, obj_ptr, obj_ptr_age, obj_ptr_bias)
        attended = self.attention(features, *bank)
        dense = self.no_mask_embed.weight.reshape(1, -1, 1, 1)
        chosen, object_score = self.heads(attended, (high_res_s1, high_res_s0), dense, self.selection)
        new_obj_ptr = self.heads.obj_ptr(chosen.token, object_score > 0)
        return chosen.mask, chosen.iou, object_score, new_obj_ptr


class EncodeMemory(nn.Module):
    """Encode the memory of decoded masks (sam2_base.py, `_encode_new_memory`).

    in   features (1, C, h, w); logits (B, 4h, 4w); object_score (B,), positive where the object is present;
         prompted (B,) bool: True for masks from prompts, which are binarised (SAM-2's
         `binarize_mask_from_pts_for_mem_enc`)
    out  memory (B, n, D)
    """

    outputs = ("memory",)
    upsample: Tensor

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.encoder = MemoryEncoder(model)
        side = 4 * model.backbone_feature_sizes[-1][0]
        self.register_buffer("upsample", _upsampling_matrix(side), persistent=False)

    def forward(
        self, features: Tensor, logits: Tensor, object_score: Tensor, prompted: Tensor
    ) -> tuple[Tensor]:
        """See the class."""
        present = object_score > 0
        logits = torch.where(present[:, None, None], logits, NO_OBJ_LOGIT)
        # Bilinear upsampling as two matrix products: OpenVINO's interpolation takes several times as long.
        high_res = self.upsample @ logits @ self.upsample.T
        mask_for_mem = torch.where(prompted[:, None, None], (high_res > 0).float(), torch.sigmoid(high_res))
        return (self.encoder(per_object(features, logits.shape[0]), mask_for_mem, present),)


def _upsampling_matrix(side: int) -> Tensor:
    """Return (4 side, side): multiplied with a column, upsamples it bilinearly as `interpolate` does."""
    one_hot = torch.eye(side)[None]
    columns = functional.interpolate(one_hot, scale_factor=4.0, mode="linear", align_corners=False)[0]
    return columns.T.contiguous()
