"""SAM-2's video model cut into graphs with one job each and fixed, named shapes.

`transformers`' `Sam2VideoModel` or `EdgeTamVideoModel` holds the weights; its video session decides in
Python, frame by frame and object by object, what to compute. Here the same arithmetic is modules that a
backend can compile once and that train as they run:

    PictureEncoder  a picture                     -> features at strides 16, 8 and 4      (pyramid.py)
    MaskPrompt      features + a given mask       -> object pointer, memory
    PointPrompt     features + points and a box   -> logits, IoU, score, object pointer
    TrackStep       features + the memories       -> logits, IoU, score, object pointer
    Remember        features + what was decoded   -> memory

Shapes: B objects, C hidden channels, h·w places of the stride-16 map, n tokens of a memory (as many, or
fewer: `memory_form.py`), M memory slots, P pointer slots, D = 64 memory channels, S the picture's side. All
objects of a frame share its features, so whatever does not depend on memory (the first self-attention) is
computed once, not B times.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.tracking.families import TrackerModel
from engines.tracking.mask_decoder import BestOfThree, Choice, Heads, Single, readings, without_doubt
from engines.tracking.memory_attention import MemoryAttention, per_object, places_of
from engines.tracking.memory_encoder import MemoryEncoder
from engines.tracking.shape import EMPTY_SLOT

NO_OBJECT: Final = -1024.0
"""Logit everywhere where the object is not in the picture (SAM-2's NO_OBJ_SCORE)."""


class MaskPrompt(nn.Module):
    """Turn a given mask into what SAM-2 remembers of it (sam2_base.py, `_use_mask_as_output`).

    in   features (1, C, h, w), mid (1, C/4, 2h, 2w), fine (1, C/8, 4h, 4w); mask (B, S, S) float32, 0 or 1
    out  pointer (B, C); memory (B, n, D) of the mask as it was given
    """

    outputs = ("pointer", "memory")

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.heads = Heads(model)
        self.memory = MemoryEncoder(model)
        self.mask_downsample = model.mask_downsample
        self.mask_embed = model.prompt_encoder.mask_embed
        # SAM-2 takes the single mask's token. A model that never reads prompts in three ways is nano, which
        # was taught with transformers' default here, the best of three.
        self.choice: Choice = Single() if model.config.multimask_output_in_sam else BestOfThree()

    def forward(self, features: Tensor, mid: Tensor, fine: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        dense = self.mask_embed(self.mask_downsample(mask[:, None]))
        pixels = per_object(features, mask.shape[0])
        chosen, score = self.heads(places_of(pixels), (mid, fine), dense, self.choice)
        given = mask.amax(dim=(1, 2)) > 0
        pointer = self.heads.pointer(chosen.token, (score > 0) & given)
        return pointer, self.memory(pixels, mask, given)


class PointPrompt(nn.Module):
    """What points and a box mean on a picture, looked at without memory.

    in   features (1, C, h, w), mid (1, C/4, 2h, 2w), fine (1, C/8, 4h, 4w)
         points (B, K, 2) float32, x and y in pixels of the picture, 0..S
         labels (B, K) int64: 1 on the object, 0 beside it, 2 and 3 a box's upper left and lower right, -1 for
         an empty slot
    out  logits (B, 4h, 4w), not yet blanked where nothing is there; iou (B,) 0..1; score (B,); pointer (B, C)
    """

    outputs = ("logits", "iou", "score", "pointer")

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.heads = Heads(model)
        self.embedding = model.prompt_encoder.shared_embedding
        self.kinds = model.prompt_encoder.point_embed
        self.no_mask = model.prompt_encoder.no_mask_embed
        self.no_memory = model.no_memory_embedding
        config: Any = model.config
        self.side = float(config.image_size)
        self.certain = without_doubt(config)
        # After so many points three readings are asked for (sam2_base.py, `_use_multimask`); never: 1 to 0.
        reads = config.multimask_output_in_sam
        self.few: int = config.multimask_min_pt_num if reads else 1
        self.many: int = config.multimask_max_pt_num if reads else 0

    def forward(
        self, features: Tensor, mid: Tensor, fine: Tensor, points: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        objects = labels.shape[0]
        filled = labels >= 0
        # The middle of a pixel; upstream pads every prompt with one token that is no point.
        embedded = self.embedding((points + 0.5) / self.side) + self.kinds(labels.clamp(min=0))
        padding = self.heads.not_a_point.weight.expand(objects, 1, -1)
        sparse = torch.cat([embedded, padding], dim=1)
        bias = functional.pad((~filled).float() * EMPTY_SLOT, (0, 1))
        nothing = self.no_mask.weight.reshape(1, -1, 1, 1) + self.no_memory.reshape(1, -1, 1, 1)
        seen = per_object(places_of(features + nothing), objects)
        given = self.heads.propose(seen, (mid, fine), sparse, bias, slice(None))
        one, best = self.certain(given), BestOfThree()(readings(given))
        count = filled.sum(dim=1)
        doubtful = (count >= self.few) & (count <= self.many)
        logits = torch.where(doubtful[:, None, None], best.mask, one.mask)
        iou = torch.where(doubtful, best.iou, one.iou)
        token = torch.where(doubtful[:, None], best.token, one.token)
        return logits, iou, given.score, self.heads.pointer(token, given.score > 0)


class TrackStep(nn.Module):
    """Look at a picture with the memories of B objects.

    in   features (1, C, h, w), mid (1, C/4, 2h, 2w), fine (1, C/8, 4h, 4w)
         memory (B, M, n, D); memory_age (B, M) int64, 0 for a conditioning memory, k for the k-th
         last frame; memory_bias (B, M), 0 or EMPTY_SLOT
         pointer (B, P, C); pointer_age (B, P) float32, in frames; pointer_bias (B, P)
    out  logits (B, 4h, 4w), not yet blanked where the object is away; iou (B,) the decoder's estimate, 0..1;
         score (B,) logit of "the object is in the picture"; new_pointer (B, C)
    """

    outputs = ("logits", "iou", "score", "new_pointer")
    exact = (r".*/heads/", r".*/[vo]_proj")
    """Not in int8 (`Calibration.exact`), in the same time: the decoder (logits are off by 0.006, else by
    0.016) and what attention has read (masks agree by 0.983, else by 0.969, as in `hiera.py`)."""

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        config: Any = model.config
        reads = config.multimask_output_in_sam and config.multimask_output_for_tracking
        reads = reads and config.multimask_min_pt_num == 0
        self.choice: Choice = BestOfThree() if reads else without_doubt(config)
        self.attention = MemoryAttention(model)
        self.heads = Heads(model)
        self.no_mask = model.prompt_encoder.no_mask_embed

    def forward(
        self,
        features: Tensor,
        mid: Tensor,
        fine: Tensor,
        memory: Tensor,
        memory_age: Tensor,
        memory_bias: Tensor,
        pointer: Tensor,
        pointer_age: Tensor,
        pointer_bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        bank = (memory, memory_age, memory_bias, pointer, pointer_age, pointer_bias)
        seen = self.attention(features, *bank)
        dense = self.no_mask.weight.reshape(1, -1, 1, 1)
        chosen, score = self.heads(seen, (mid, fine), dense, self.choice)
        return chosen.mask, chosen.iou, score, self.heads.pointer(chosen.token, score > 0)


class Remember(nn.Module):
    """Make memories of what was decoded on a picture (sam2_base.py, `_encode_new_memory`).

    in   features (1, C, h, w); logits (B, 4h, 4w), not yet blanked; score (B,): above 0 where the object is
         in the picture; prompted (B,) bool: where a person or a grounder said so, the mask is remembered with
         a hard edge
    out  memory (B, n, D)
    """

    outputs = ("memory",)
    enlarge: Tensor

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.write = MemoryEncoder(model)
        self.register_buffer("enlarge", _enlarger(4 * model.backbone_feature_sizes[-1][0]), persistent=False)

    def forward(self, features: Tensor, logits: Tensor, score: Tensor, prompted: Tensor) -> tuple[Tensor]:
        """See the class."""
        present = score > 0
        blanked = torch.where(present[:, None, None], logits, NO_OBJECT)
        # Bilinear enlargement as two matrix products: OpenVINO's interpolation takes several times as long.
        large = self.enlarge @ blanked @ self.enlarge.T
        mask = torch.where(prompted[:, None, None], (large > 0).float(), torch.sigmoid(large))
        return (self.write(per_object(features, logits.shape[0]), mask, present),)


def _enlarger(side: int) -> Tensor:
    """(4 side, side): its product with a column is the column enlarged bilinearly, as `interpolate` does."""
    one_hot = torch.eye(side)[None]
    return functional.interpolate(one_hot, scale_factor=4.0, mode="linear", align_corners=False)[
        0
    ].T.contiguous()
