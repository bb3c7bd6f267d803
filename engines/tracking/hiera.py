"""SAM-2's picture encoder: Hiera under its pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam2VideoModel

from engines.tracking.fpn import PictureEncoder
from engines.tracking.memory_attention import attend_by_head


class ImageEncoder(PictureEncoder):
    """Hiera and its pyramid; see `PictureEncoder`."""

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__(model)
        self.backbone: Any = model.vision_encoder.backbone
        if tuple(self.backbone.config.query_stride) != (2, 2):
            raise ValueError("a Hiera whose queries are pooled by another stride than 2 is not supported")
        self.blocks = nn.ModuleList(_Block(block) for block in self.backbone.blocks)
        self.windows: list[int] = [block.window_size for block in self.backbone.blocks]
        # Nor the first two stages, whose few channels gain nothing, nor what attention has read. Masks that
        # random weights draw agree with float32's by 0.973, 0.983 and 0.988 with each left out (bfloat16's
        # by 0.989), in 150, 160 and 162 ms (194) before windows stayed cut.
        early = "|".join(str(index) for index in range(self.backbone.stage_ends[1] + 1))
        self.exact = (*self.exact, rf".*/blocks\.({early})/", r".*/proj/")

    def stages(self, picture: Tensor) -> list[Tensor]:
        """See `PictureEncoder.stages`."""
        x = self.backbone.patch_embed.projection(picture).permute(0, 2, 3, 1)
        x = x + self.backbone._get_pos_embed(x.shape[1:3])
        stages, across = [], 1
        for index, block in enumerate(self.blocks):
            x, across = _regrouped(x, across, self.windows[index])
            x = block(x)
            if index in self.backbone.stage_ends:
                stages.append(_joined(x, across).permute(0, 3, 1, 2))
        return stages


class _Block(nn.Module):
    """`Sam2MultiScaleBlock`. A module, so that what is exported of it is named by its number."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        """(N, H, W, C) of pictures, or of windows of them."""
        block = self.block
        normed = block.layer_norm1(x)
        residual = _pool(block.proj(normed), block.query_stride) if block.dim != block.dim_out else x
        x = residual + block.attn.proj(self._read(normed)[:, : residual.shape[1], : residual.shape[2]])
        return x + block.mlp(block.layer_norm2(x))  # type: ignore[no-any-return]

    def _read(self, x: Tensor) -> Tensor:
        """What each place reads of those in its window, not yet projected; padded as `_padded` does."""
        attention, window = self.block.attn, self.block.window_size
        # Three products for upstream's one, which OpenVINO would cut apart by copying (tiny at 512 px,
        # one thread: 6 of 140 ms in int8, 12 of 340 in float32).
        weights, biases = attention.qkv.weight.chunk(3), attention.qkv.bias.chunk(3)
        mapped = [functional.linear(x, *layer) for layer in zip(weights, biases, strict=True)]
        if window == 0 or window == x.shape[1] == x.shape[2]:
            return _attended(attention, mapped)
        padded = [_padded(part, bias, window) for part, bias in zip(mapped, biases, strict=True)]
        across = padded[0].shape[1] // window
        return _joined(_attended(attention, [_cut(part, across) for part in padded]), across)


def _regrouped(x: Tensor, across: int, window: int) -> tuple[Tensor, int]:
    """A square picture that lies in `across` × `across` tiles, in the tiles of a block's window: most blocks
    have that of the block before, and nothing moves. Whole for a block that looks at all of it, or whose
    window does not divide it."""
    side = x.shape[1] * across
    wanted = 1 if window == 0 or side % window else side // window
    return (x, across) if wanted == across else (_cut(_joined(x, across), wanted), wanted)


def _cut(x: Tensor, across: int) -> Tensor:
    """(N, H, W, C) -> (N · across², H / across, W / across, C), row by row."""
    if across == 1:
        return x
    count, height, width, channels = x.shape
    tiles = x.reshape(count, across, height // across, across, width // across, channels)
    return tiles.transpose(2, 3).reshape(-1, height // across, width // across, channels)


def _joined(x: Tensor, across: int) -> Tensor:
    """What `_cut` cut."""
    if across == 1:
        return x
    height, width, channels = x.shape[1:]
    tiles = x.reshape(-1, across, across, height, width, channels)
    return tiles.transpose(2, 3).reshape(-1, across * height, across * width, channels)


def _padded(mapped: Tensor, bias: Tensor, window: int) -> Tensor:
    """Queries, keys or values of a picture whose side the window does not divide, padded at its lower right.
    Upstream pads before they are made: of zeros comes the bias, so there is no need to multiply them (at 512
    px a window of 14 pads 32 to 42 places: 0.72 times more)."""
    padding = (0, 0, 0, -mapped.shape[2] % window, 0, -mapped.shape[1] % window)
    if not any(padding):
        return mapped
    # Chosen, not appended: TensorRT keeps what is appended, once for each place and block (tiny: 19 MB).
    inside = functional.pad(torch.ones_like(mapped[:1, :, :, :1], dtype=torch.bool), padding)
    return torch.where(inside, functional.pad(mapped, padding), bias)


def _attended(attention: Any, mapped: Sequence[Tensor]) -> Tensor:
    """Queries, keys and values, each (N, H, W, C) -> (N, H', W', C): pooled queries where the block pools."""
    query, key, value = mapped
    query = _pool(query, attention.query_stride)
    count, height, width, _ = query.shape
    query, key, value = (part.flatten(1, 2) for part in (query, key, value))
    read = attend_by_head(query, key, value, None, attention.num_attention_heads)
    return read.reshape(count, height, width, -1)


def _pool(x: Tensor, stride: Any) -> Tensor:
    """The largest of each 2 × 2 places, in two steps. As a pooling, OpenVINO first brings channels to the
    front and then back, in which tiny at 512 px spends 11 of 158 ms in int8, one thread."""
    if stride is None:
        return x
    height, width = x.shape[1] // 2, x.shape[2] // 2
    count, x = x.shape[0], x[:, : 2 * height, : 2 * width]
    left, right = x.reshape(count, 2 * height, width, -1).chunk(2, dim=-1)
    upper, lower = torch.maximum(left, right).reshape(count, height, 2 * width, -1).chunk(2, dim=2)
    return torch.maximum(upper, lower)
