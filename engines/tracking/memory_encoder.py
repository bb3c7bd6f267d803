"""SAM-2's memory encoder, and EdgeTAM's: image features and an object's mask -> the tokens of a memory.

Computes what transformers' modules do, whose weights it holds, with channels kept first. Upstream moves them
last and back for norms and pointwise products, which OpenVINO copies: a mask of tiny at 512 px then takes
15.7 instead of 13.4 ms, in float32 29 instead of 21; a mask of nano 1.2 instead of 0.8 (bfloat16, one
thread).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.tracking.families import TrackerModel
from engines.tracking.memory_tokens import memory_to_tokens


class MemoryEncoder(nn.Module):
    """features (B, C, h, w), mask (B, S, S) 0..1, present (B,) bool -> memory (B, n, D)."""

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        self.encoder: Any = model.memory_encoder
        self.sigmoid_scale = model.config.sigmoid_scale_for_mem_enc
        self.sigmoid_bias = model.config.sigmoid_bias_for_mem_enc
        self.no_obj_embed_spatial = model.occlusion_spatial_embedding_parameter
        self.to_tokens = memory_to_tokens(model)

    def forward(self, features: Tensor, mask: Tensor, present: Tensor) -> Tensor:
        """See the class."""
        downsampled = self._downsampled(mask[:, None] * self.sigmoid_scale + self.sigmoid_bias)
        x = self.encoder.feature_projection(features) + downsampled
        for block in self.encoder.memory_fuser.layers:
            x = x + _convnext_branch(block, x)
        memory = self.encoder.projection(x)
        if self.no_obj_embed_spatial is not None:
            absent = (~present).float()[:, None, None, None]
            memory = memory + absent * self.no_obj_embed_spatial[:, :, None, None]
        return self.to_tokens(memory)  # type: ignore[no-any-return]

    def _downsampled(self, mask: Tensor) -> Tensor:
        """(B, 1, S, S) -> (B, C, h, w)"""
        for layer in self.encoder.mask_downsampler.layers:
            mask = layer.activation(_layer_norm(layer.layer_norm, _strided_conv(layer.conv, mask)))
        return self.encoder.mask_downsampler.final_conv(mask)  # type: ignore[no-any-return]


def _strided_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Run a convolution; one of adjacent patches (kernel = stride, no padding) as a product of their pixels.

    The same in exact arithmetic. On CPUs with AMX, OpenVINO 2026.4.1 computes such convolutions wrong in
    bfloat16: one from 16 to 256 channels with kernel and stride 4, as in nano, is off by 86 % (relative RMS).
    """
    if conv.kernel_size != conv.stride or any(conv.padding):
        return conv(x)  # type: ignore[no-any-return]
    patches = functional.pixel_unshuffle(x, conv.stride[0])
    return functional.conv2d(patches, conv.weight.flatten(1)[:, :, None, None], conv.bias)


def _convnext_branch(block: Any, x: Tensor) -> Tensor:
    """Run a ConvNeXt block (arXiv 2201.03545) without its residual connection."""
    mixed = _layer_norm(block.layer_norm, block.depthwise_conv(x))
    mixed = block.activation(_pointwise(block.pointwise_conv1, mixed))
    return block.scale[:, None, None] * _pointwise(block.pointwise_conv2, mixed)  # type: ignore[no-any-return]


def _pointwise(linear: nn.Linear, x: Tensor) -> Tensor:
    """Apply `linear` over the channels of (B, C, H, W)."""
    return functional.conv2d(x, linear.weight[:, :, None, None], linear.bias)


def _layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Apply `norm` over the channels of (B, C, H, W), in float32 also under autocast."""
    x = x.float()
    centred = x - x.mean(dim=1, keepdim=True)
    variance = (centred * centred).mean(dim=1, keepdim=True)
    weight, bias = (part[:, None, None] for part in (norm.weight, norm.bias))
    return centred * torch.rsqrt(variance + norm.eps) * weight + bias
