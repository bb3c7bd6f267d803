"""SAM-2's image encoder: Hiera (arXiv 2306.00989) under the FPN neck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam2VideoModel

from engines.tracking.image_encoder import ImageEncoder
from engines.tracking.memory_attention import multi_head_attention


class HieraImageEncoder(ImageEncoder):
    """Hiera and the neck; see `ImageEncoder`. Raises ValueError for a query stride other than 2."""

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__(model)
        self.backbone: Any = model.vision_encoder.backbone
        if tuple(self.backbone.config.query_stride) != (2, 2):
            raise ValueError("a Hiera whose queries are pooled by another stride than 2 is not supported")
        self.blocks = nn.ModuleList(_Block(block) for block in self.backbone.blocks)
        self.windows: list[int] = [block.window_size for block in self.backbone.blocks]
        # int8 leaves out the first two stages too, whose few channels gain nothing, and the projection of
        # attention outputs. Masks of random weights agree with float32's by 0.973, 0.983 and 0.988 with each
        # left out (bfloat16's by 0.989), in 150, 160 and 162 ms (bfloat16: 194), measured before blocks of
        # one window size shared their partition.
        early = "|".join(str(index) for index in range(self.backbone.stage_ends[1] + 1))
        self.ignored_scope = (*self.ignored_scope, rf".*/blocks\.({early})/", r".*/proj/")

    def stages(self, image: Tensor) -> list[Tensor]:
        """See `ImageEncoder.stages`."""
        x = self.backbone.patch_embed.projection(image).permute(0, 2, 3, 1)
        x = x + self.backbone._get_pos_embed(x.shape[1:3])
        stages, across = [], 1
        for index, block in enumerate(self.blocks):
            x, across = _repartitioned(x, across, self.windows[index])
            x = block(x)
            if index in self.backbone.stage_ends:
                stages.append(_unpartitioned(x, across).permute(0, 3, 1, 2))
        return stages


class _Block(nn.Module):
    """`Sam2MultiScaleBlock`. A module, so that exported nodes carry its index in their names."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """x: (N, H, W, C) of whole feature maps or of windows."""
        block = self.block
        normed = block.layer_norm1(x)
        residual = _max_pool(block.proj(normed), block.query_stride) if block.dim != block.dim_out else x
        attended = self._attention(normed)[:, : residual.shape[1], : residual.shape[2]]
        x = residual + block.attn.proj(attended)
        return x + block.mlp(block.layer_norm2(x))  # type: ignore[no-any-return]

    def _attention(self, x: Tensor) -> Tensor:
        """Attend within windows; the output is not projected yet and padded as by `_padded`."""
        attention, window = self.block.attn, self.block.window_size
        # Three products instead of upstream's one, which OpenVINO would split by copying (tiny at 512 px, one
        # thread: 6 of 140 ms in int8, 12 of 340 in float32).
        weights, biases = attention.qkv.weight.chunk(3), attention.qkv.bias.chunk(3)
        qkv = [functional.linear(x, *layer) for layer in zip(weights, biases, strict=True)]
        if window == 0 or window == x.shape[1] == x.shape[2]:
            return _pooled_attention(attention, qkv)
        padded = [_padded(part, bias, window) for part, bias in zip(qkv, biases, strict=True)]
        across = padded[0].shape[1] // window
        windows = [_partitioned(part, across) for part in padded]
        return _unpartitioned(_pooled_attention(attention, windows), across)


def _repartitioned(x: Tensor, across: int, window: int) -> tuple[Tensor, int]:
    """Partition square feature maps into the windows of the next block.

    x: in `across` × `across` windows now. Returns it with its new `across`: 1 (whole) for global attention or
    a window size that does not divide the side. Most blocks have the window of the block before: no copy.
    """
    side = x.shape[1] * across
    wanted = 1 if window == 0 or side % window else side // window
    return (x, across) if wanted == across else (_partitioned(_unpartitioned(x, across), wanted), wanted)


def _partitioned(x: Tensor, across: int) -> Tensor:
    """(N, H, W, C) -> (N · across², H / across, W / across, C), windows row by row."""
    if across == 1:
        return x
    count, height, width, channels = x.shape
    tiles = x.reshape(count, across, height // across, across, width // across, channels)
    return tiles.transpose(2, 3).reshape(-1, height // across, width // across, channels)


def _unpartitioned(x: Tensor, across: int) -> Tensor:
    """Invert `_partitioned`."""
    if across == 1:
        return x
    height, width, channels = x.shape[1:]
    tiles = x.reshape(-1, across, across, height, width, channels)
    return tiles.transpose(2, 3).reshape(-1, across * height, across * width, channels)


def _padded(x: Tensor, bias: Tensor, window: int) -> Tensor:
    """Pad queries, keys or values at the lower right to a multiple of the window.

    Upstream pads before the projection. A projected zero is the bias, so the padding need not be multiplied
    (at 512 px a window of 14 pads 32 to 42 places: 0.72 times more).
    """
    padding = (0, 0, 0, -x.shape[2] % window, 0, -x.shape[1] % window)
    if not any(padding):
        return x
    # Selected, not concatenated: TensorRT stores concatenated constants per place and block (tiny: 19 MB).
    inside = functional.pad(torch.ones_like(x[:1, :, :, :1], dtype=torch.bool), padding)
    return torch.where(inside, functional.pad(x, padding), bias)


def _pooled_attention(attention: Any, qkv: Sequence[Tensor]) -> Tensor:
    """Queries, keys and values, each (N, H, W, C) -> (N, H', W', C); queries are pooled where the block
    pools."""
    query, key, value = qkv
    query = _max_pool(query, attention.query_stride)
    count, height, width, _ = query.shape
    query, key, value = (part.flatten(1, 2) for part in (query, key, value))
    attended = multi_head_attention(query, key, value, None, attention.num_attention_heads)
    return attended.reshape(count, height, width, -1)


def _max_pool(x: Tensor, stride: Any) -> Tensor:
    """Max-pool (N, H, W, C) by 2 × 2 in two steps; unchanged where `stride` is None.

    As a pooling operation OpenVINO moves channels to the front and back, which takes 11 of 158 ms for tiny at
    512 px (int8, one thread).
    """
    if stride is None:
        return x
    height, width = x.shape[1] // 2, x.shape[2] // 2
    count, x = x.shape[0], x[:, : 2 * height, : 2 * width]
    left, right = x.reshape(count, 2 * height, width, -1).chunk(2, dim=-1)
    upper, lower = torch.maximum(left, right).reshape(count, height, 2 * width, -1).chunk(2, dim=2)
    return torch.maximum(upper, lower)
