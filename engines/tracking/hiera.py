"""SAM-2's picture encoder: Hiera, its pyramid, and the decoder's two convolutions on its finer levels."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam2VideoModel

from engines.tracking.attention import attend

IMAGE_MEAN: Final = (0.485, 0.456, 0.406)
IMAGE_STD: Final = (0.229, 0.224, 0.225)


class ImageEncoder(nn.Module):
    """Hiera and its pyramid.

    in   pixels (N, S, S, 3) uint8 RGB
    out  features (N, C, h, w) at stride 16, mid (N, C/4, 2h, 2w), fine (N, C/8, 4h, 4w), float32;
         mid and fine have been through the mask decoder's `conv_s1`, `conv_s0`
    """

    outputs = ("features", "mid", "fine")
    mean: Tensor
    std: Tensor

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__()
        self.backbone: Any = model.vision_encoder.backbone
        self.neck = model.vision_encoder.neck
        self.fine_conv = model.mask_decoder.conv_s0
        self.mid_conv = model.mask_decoder.conv_s1
        mean = torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1) * 255
        std = torch.tensor(IMAGE_STD).view(1, 3, 1, 1) * 255
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        x = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
        x = self.backbone.patch_embed.projection(x).permute(0, 2, 3, 1)
        x = x + self.backbone._get_pos_embed(x.shape[1:3])
        stages = []
        for index, block in enumerate(self.backbone.blocks):
            x = _hiera_block(block, x)
            if index in self.backbone.stage_ends:
                stages.append(x.permute(0, 3, 1, 2))
        lateral = self.neck.convs  # from coarse to fine
        coarse = functional.interpolate(lateral[0](stages[3]), scale_factor=2.0, mode="nearest")
        features = lateral[1](stages[2]) + coarse
        mid = _two_convs(stages[1], lateral[2], self.mid_conv)
        fine = _two_convs(stages[0], lateral[3], self.fine_conv)
        return features, mid, fine


def _hiera_block(block: Any, x: Tensor) -> Tensor:
    """`Sam2MultiScaleBlock` on (N, H, W, C)."""
    normed = block.layer_norm1(x)
    residual = _pool(block.proj(normed), block.query_stride) if block.dim != block.dim_out else x
    window = block.window_size
    if window == 0 or window == x.shape[1] == x.shape[2]:
        x = residual + _hiera_attention(block.attn, normed)
    else:
        count, height, width, channels = normed.shape
        # A picture whose side the window does not divide is padded at its lower right, as upstream does.
        normed = functional.pad(normed, (0, 0, 0, -width % window, 0, -height % window))
        rows, columns = normed.shape[1] // window, normed.shape[2] // window
        tiles = normed.reshape(count, rows, window, columns, window, channels).permute(0, 1, 3, 2, 4, 5)
        tiles = _hiera_attention(block.attn, tiles.reshape(-1, window, window, channels))
        side = tiles.shape[1]
        tiles = tiles.reshape(count, rows, columns, side, side, -1).permute(0, 1, 3, 2, 4, 5)
        whole = tiles.reshape(count, rows * side, columns * side, -1)
        x = residual + whole[:, : residual.shape[1], : residual.shape[2]]
    return x + block.mlp(block.layer_norm2(x))  # type: ignore[no-any-return]


def _hiera_attention(attention: Any, x: Tensor) -> Tensor:
    count, height, width, _ = x.shape
    heads = attention.num_attention_heads
    query, key, value = attention.qkv(x).chunk(3, dim=-1)
    if attention.query_stride:
        query = _pool(query, attention.query_stride)
        height, width = query.shape[1], query.shape[2]
    query, key, value = (
        part.reshape(count, -1, heads, part.shape[-1] // heads).transpose(1, 2)
        for part in (query, key, value)
    )
    read = attend(query, key, value, None).transpose(1, 2).reshape(count, height, width, -1)
    return attention.proj(read)  # type: ignore[no-any-return]


def _pool(x: Tensor, stride: Any) -> Tensor:
    if stride is None:
        return x
    return functional.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=stride, stride=stride).permute(0, 2, 3, 1)


def _two_convs(x: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """Two 1×1 convolutions with nothing between them are one: 9 times less work at stride 4 for nano."""
    assert first.bias is not None and second.bias is not None
    outer, inner = second.weight.flatten(1), first.weight.flatten(1)
    return functional.conv2d(x, (outer @ inner)[:, :, None, None], outer @ first.bias + second.bias)
