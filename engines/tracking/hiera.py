"""SAM-2's picture encoder: Hiera under its pyramid."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam2VideoModel

from engines.tracking.attention import attend
from engines.tracking.pyramid import PictureEncoder


class ImageEncoder(PictureEncoder):
    """Hiera and its pyramid; see `PictureEncoder`."""

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__(model)
        self.backbone: Any = model.vision_encoder.backbone
        self.blocks = nn.ModuleList(_Block(block) for block in self.backbone.blocks)
        # Nor the first two stages, whose few channels gain nothing, nor what attention has read. Masks that
        # random weights draw agree with float32's by 0.973, 0.983 and 0.988 with each left out (bfloat16's
        # by 0.989), in 150, 160 and 162 ms (194).
        early = "|".join(str(index) for index in range(self.backbone.stage_ends[1] + 1))
        self.exact = (*self.exact, rf".*/blocks\.({early})/", r".*/proj/")

    def stages(self, picture: Tensor) -> list[Tensor]:
        """See `PictureEncoder.stages`."""
        x = self.backbone.patch_embed.projection(picture).permute(0, 2, 3, 1)
        x = x + self.backbone._get_pos_embed(x.shape[1:3])
        stages = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.backbone.stage_ends:
                stages.append(x.permute(0, 3, 1, 2))
        return stages


class _Block(nn.Module):
    """`Sam2MultiScaleBlock`. A module, so that what is exported of it is named by its number."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C)"""
        return _hiera_block(self.block, x)


def _hiera_block(block: Any, x: Tensor) -> Tensor:
    normed, attention, window = block.layer_norm1(x), block.attn, block.window_size
    residual = _pool(block.proj(normed), block.query_stride) if block.dim != block.dim_out else x
    if window == 0 or window == x.shape[1] == x.shape[2]:
        read = _read(attention, attention.qkv(normed))
    else:
        mapped = _mapped(attention.qkv, normed, window)
        count, rows, columns = len(mapped), mapped.shape[1] // window, mapped.shape[2] // window
        tiles = mapped.reshape(count, rows, window, columns, window, -1).permute(0, 1, 3, 2, 4, 5)
        tiles = _read(attention, tiles.reshape(-1, window, window, tiles.shape[-1]))
        side = tiles.shape[1]
        tiles = tiles.reshape(count, rows, columns, side, side, -1).permute(0, 1, 3, 2, 4, 5)
        whole = tiles.reshape(count, rows * side, columns * side, -1)
        read = whole[:, : residual.shape[1], : residual.shape[2]]
    x = residual + attention.proj(read)
    return x + block.mlp(block.layer_norm2(x))  # type: ignore[no-any-return]


def _mapped(qkv: nn.Linear, x: Tensor, window: int) -> Tensor:
    """Queries, keys and values. A picture whose side the window does not divide is padded at its lower right,
    upstream before they are made: of zeros comes the bias, so there is no need to multiply them (at 512 px a
    window of 14 pads 32 to 42 places: 0.72 times more)."""
    mapped = qkv(x)
    padding = (0, 0, 0, -x.shape[2] % window, 0, -x.shape[1] % window)
    if not any(padding):
        return mapped  # type: ignore[no-any-return]
    # Chosen, not appended: TensorRT keeps what is appended, once for each place and block (tiny: 19 MB).
    inside = functional.pad(torch.ones_like(x[:1, :, :, :1], dtype=torch.bool), padding)
    return torch.where(inside, functional.pad(mapped, padding), qkv.bias)


def _read(attention: Any, mapped: Tensor) -> Tensor:
    """What each place reads of those in its window, (N, H, W, 3 C) -> (N, H', W', C), not yet projected."""
    count, height, width, _ = mapped.shape
    heads = attention.num_attention_heads
    query, key, value = mapped.chunk(3, dim=-1)
    if attention.query_stride:
        query = _pool(query, attention.query_stride)
        height, width = query.shape[1], query.shape[2]
    query, key, value = (
        part.reshape(count, -1, heads, part.shape[-1] // heads).transpose(1, 2)
        for part in (query, key, value)
    )
    return attend(query, key, value, None).transpose(1, 2).reshape(count, height, width, -1)


def _pool(x: Tensor, stride: Any) -> Tensor:
    if stride is None:
        return x
    return functional.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=stride, stride=stride).permute(0, 2, 3, 1)
