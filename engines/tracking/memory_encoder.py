"""SAM-2's memory encoder, and EdgeTAM's: a picture's features with an object's mask -> what is remembered.

The arithmetic of transformers' modules, whose weights it holds, in other words for OpenVINO: all is done with
the channels where convolutions leave them. Upstream turns them to the end and back for norms and products: a
mask of tiny at 512 px then takes 15.7 instead of 13.4 ms, and 29 instead of 21 in float32; one of nano 1.2
instead of 0.8 (bfloat16 but for the second, one thread).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.tracking.families import TrackerModel
from engines.tracking.memory_layout import form_of


class MemoryEncoder(nn.Module):
    """features (B, C, h, w), mask (B, S, S) 0..1, present (B,) -> (B, n, D)."""

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.encoder: Any = model.memory_encoder
        self.scale = model.config.sigmoid_scale_for_mem_enc
        self.bias = model.config.sigmoid_bias_for_mem_enc
        self.away = model.occlusion_spatial_embedding_parameter
        self.form = form_of(model)

    def forward(self, features: Tensor, mask: Tensor, present: Tensor) -> Tensor:
        """See the class."""
        marks = self._marks(mask[:, None] * self.scale + self.bias)
        x = self.encoder.feature_projection(features) + marks
        for block in self.encoder.memory_fuser.layers:
            x = x + _convolved(block, x)
        memory = self.encoder.projection(x)
        if self.away is not None:
            memory = memory + (~present).float()[:, None, None, None] * self.away[:, :, None, None]
        return self.form(memory)  # type: ignore[no-any-return]

    def _marks(self, mask: Tensor) -> Tensor:
        """(B, 1, S, S) -> (B, C, h, w)"""
        for layer in self.encoder.mask_downsampler.layers:
            mask = layer.activation(_normed(layer.layer_norm, layer.conv(mask)))
        return self.encoder.mask_downsampler.final_conv(mask)  # type: ignore[no-any-return]


def _convolved(block: Any, x: Tensor) -> Tensor:
    """A ConvNeXt block (arXiv 2201.03545) without what it is added to."""
    mixed = _normed(block.layer_norm, block.depthwise_conv(x))
    mixed = block.activation(_pointwise(block.pointwise_conv1, mixed))
    return block.scale[:, None, None] * _pointwise(block.pointwise_conv2, mixed)  # type: ignore[no-any-return]


def _pointwise(linear: nn.Linear, x: Tensor) -> Tensor:
    """`linear` of each place of (B, C, H, W)."""
    return functional.conv2d(x, linear.weight[:, :, None, None], linear.bias)


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """`norm` over the channels of (B, C, H, W), in float32 under autocast, too."""
    x = x.float()
    apart = x - x.mean(dim=1, keepdim=True)
    variance = (apart * apart).mean(dim=1, keepdim=True)
    weight, bias = (part[:, None, None] for part in (norm.weight, norm.bias))
    return apart * torch.rsqrt(variance + norm.eps) * weight + bias
