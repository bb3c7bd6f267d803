"""SAM-2's picture encoder: Hiera under its pyramid."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional
from transformers import Sam2VideoModel

from engines.tracking.attention import attend
from engines.tracking.pyramid import PictureEncoder


class ImageEncoder(PictureEncoder):
    """Hiera and its pyramid; see `PictureEncoder`."""

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__(model)
        self.backbone: Any = model.vision_encoder.backbone

    def stages(self, picture: Tensor) -> list[Tensor]:
        """See `PictureEncoder.stages`."""
        x = self.backbone.patch_embed.projection(picture).permute(0, 2, 3, 1)
        x = x + self.backbone._get_pos_embed(x.shape[1:3])
        stages = []
        for index, block in enumerate(self.backbone.blocks):
            x = _hiera_block(block, x)
            if index in self.backbone.stage_ends:
                stages.append(x.permute(0, 3, 1, 2))
        return stages


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
