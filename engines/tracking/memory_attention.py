"""SAM-2's memory attention, and EdgeTAM's, over fixed slots.

An empty slot is hidden by a bias on its keys, which equals leaving it out (test: `test_attention.py`).
RoPE is real-valued: rows of the query and key projections are taken in the order "first of each pair, second
of each pair", which leaves every product of a query and a key as it was and makes the rotation two
multiplications of halves.

Attention is written as matmul, softmax, matmul: OpenVINO 2026.4 computes the fused form wrong in
Hiera's blocks with trained weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.sam2_video import modeling_sam2_video

from engines.tracking.families import TrackerModel
from engines.tracking.memory_layout import layout_of, rotation

MOST_AT_ONCE: Final = 16_384
"""Keys of memories in one attention; where there are more, each memory is read apart. A layer takes OpenVINO
(bfloat16, one thread) 700 ms at once and 342 apart at 1024 px, of 32,768 keys; 22 and 20 at 512 px, of 8,192,
which stays as upstream adds it up."""
_UNIT: Final = 40.0
"""Score of the key that parts are compared by: amid what attention to thousands of keys comes to, by the
logarithm of its summed exponentials. Nano's, the only trained one at hand: 3 to 37."""
_LEAST: Final = 1e-35
"e^-80: a thousand values in units of it are still a float32."

_sine: Any = modeling_sam2_video.get_1d_sine_pe


class MemoryAttention(nn.Module):
    """Memory attention over fixed slots; inputs as in `TrackStep`, out (B, h·w, C)."""

    position: Tensor
    memory_position: Tensor
    cos: Tensor
    sin: Tensor
    memory_cos: Tensor
    memory_sin: Tensor
    halves: Tensor

    def __init__(self, model: TrackerModel) -> None:
        super().__init__()
        config = model.config
        if config.memory_attention_num_attention_heads != 1:
            raise ValueError("memory attention with more than one head is not supported")
        self.blocks: Any = model.memory_attention.layers
        self.norm = model.memory_attention.layer_norm
        self.temporal = model.memory_temporal_positional_encoding
        self.pointer_time = model.temporal_positional_encoding_projection_layer
        self.timed_pointers = config.enable_temporal_pos_encoding_for_object_pointers
        self.max_age = float(config.max_object_pointers_in_encoder - 1)
        self.memory_channels = model.mem_dim
        self.hidden = model.hidden_dim
        height, width = model.backbone_feature_sizes[-1]
        shape = torch.Size((1, self.hidden, height, width))
        position = model.vision_encoder.neck.position_encoding(shape, "cpu", torch.float32)
        self.register_buffer("position", places_of(position).clone(), persistent=False)
        cos, sin = rotation(model, model.memory_attention.position_ids)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        layout = layout_of(model)
        self.register_buffer("memory_position", layout.position[None], persistent=False)
        self.register_buffer("memory_cos", layout.cos, persistent=False)
        self.register_buffer("memory_sin", layout.sin, persistent=False)
        self.register_buffer("halves", _halves(2 * cos.shape[-1]), persistent=False)

    def forward(
        self,
        features: Tensor,
        memory: Tensor,
        memory_age: Tensor,
        memory_bias: Tensor,
        pointer: Tensor,
        pointer_age: Tensor,
        pointer_bias: Tensor,
    ) -> Tensor:
        """See the class."""
        objects, _, places, channels = memory.shape
        splits = self.hidden // channels
        # Row 0 of the table is the newest of the recent ones, the last row belongs to conditioning memories.
        table = self.temporal.reshape(-1, channels).roll(1, 0)
        memory_position = self.memory_position[:, None] + table[memory_age][:, :, None]
        keyed_memory = memory + memory_position
        pointers = pointer.reshape(objects, -1, channels)
        keyed_pointers = pointers
        if self.timed_pointers:
            time = self.pointer_time(_sine(pointer_age / self.max_age, dim=self.hidden))
            keyed_pointers = pointers + time[:, :, None].expand(-1, -1, splits, -1).reshape(pointers.shape)
        values = _parts(memory, pointers)
        biases = _parts(
            memory_bias[:, :, None, None].expand(-1, -1, places, -1),
            pointer_bias[:, :, None].expand(-1, -1, splits).reshape(objects, -1, 1),
        )
        biases = [bias.transpose(1, 2) for bias in biases]
        x = places_of(features) + 0.1 * self.position
        for block in self.blocks:
            x = x + self._look_around(block.self_attn, block.layer_norm1(x))
            query = self._asking(block.cross_attn_image.q_proj, block.layer_norm2(x))
            keys = self._keys(block.cross_attn_image, keyed_memory, keyed_pointers)
            if query.shape[0] != objects:  # features of one picture (or a few), shared by their objects
                query, x = per_object(query, objects), per_object(x, objects)
            # Weights add up to 1, so values may be projected after they are mixed: a quarter of the product.
            read = block.cross_attn_image.v_proj(attend_to_all(query, keys, values, biases))
            x = x + block.cross_attn_image.o_proj(read)
            x = x + _feed_forward(block, block.layer_norm3(x))
        return self.norm(x)  # type: ignore[no-any-return]

    def _look_around(self, attention: Any, x: Tensor) -> Tensor:
        query, key = self._asking(attention.q_proj, x), self._asking(attention.k_proj, x)
        return attention.o_proj(attend(query, key, attention.v_proj(x), None))  # type: ignore[no-any-return]

    def _keys(self, attention: Any, memory: Tensor, pointers: Tensor) -> list[Tensor]:
        keys = self._rotated(attention.k_proj, memory, self.memory_cos, self.memory_sin)
        weight, bias = self._in_halves(attention.k_proj)
        return _parts(keys, functional.linear(pointers, weight, bias))

    def _asking(self, projection: nn.Linear, x: Tensor) -> Tensor:
        return self._rotated(projection, x, self.cos, self.sin)

    def _rotated(self, projection: nn.Linear, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        first, second = functional.linear(x, *self._in_halves(projection)).chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)

    def _in_halves(self, projection: nn.Linear) -> tuple[Tensor, Tensor]:
        return projection.weight[self.halves], projection.bias[self.halves]


def _feed_forward(block: Any, x: Tensor) -> Tensor:
    if hasattr(block, "mlp"):  # EdgeTAM's, in transformers
        return block.mlp(x)  # type: ignore[no-any-return]
    return block.linear2(block.activation(block.linear1(x)))  # type: ignore[no-any-return]


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    weights = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)
    if bias is not None:
        weights = weights + bias
    return weights.softmax(dim=-1) @ value


def attend_by_head(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    """Attention of heads with as many channels each, one after the other: query (B, Q, C), key and value
    (B, K, C), bias (B, 1, K) -> (B, Q, C)."""
    # A head is a row of the batch: beside a dimension of heads OpenVINO turns the keys once more (nano's
    # encoder takes 4.7 ms instead of 4.35, tiny's at 512 px 162 instead of 156; bfloat16, one thread).
    query, key, value = (
        part.reshape(part.shape[0], part.shape[1], heads, -1).transpose(1, 2).flatten(0, 1)
        for part in (query, key, value)
    )
    if bias is not None:
        bias = bias[:, None].expand(-1, heads, -1, -1).flatten(0, 1)
    read = attend(query, key, value, bias)
    return read.reshape(-1, heads, read.shape[1], read.shape[2]).transpose(1, 2).flatten(2)


def attend_to_all(
    query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor], biases: Sequence[Tensor]
) -> Tensor:
    """Attention to the keys of all parts as if they were one, (B, Q, C) -> (B, Q, D).

    keys (B, K, C), values (B, K, D) and biases (B, 1, K) of each part. Softmax of one part knows nothing of
    the others'. So each part has one more key whose score is _UNIT: in units of its share, parts add up. Two
    more channels say a query's share of that key and of all others. It holds while the logarithm of a part's
    summed exponentials is within 80 of _UNIT; parts above count alike, parts below for nothing.
    """
    if len(keys) == 1:
        return attend(query, keys[0], values[0], biases[0])
    first, *others = (_in_units(query, *part) for part in zip(keys, values, biases, strict=True))
    total = sum(others, start=first)
    return total[..., :-1] / total[..., -1:].clamp(min=_LEAST)


def _in_units(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """(B, Q, D + 1): values by their weights, not yet divided by what these add up to, which comes last."""
    value = functional.pad(functional.pad(value, (0, 1), value=1.0), (0, 1))
    unit = functional.pad(torch.zeros_like(value[:, :1, 1:]), (0, 1), value=1.0)
    padded, biased = functional.pad(key, (0, 0, 0, 1)), functional.pad(bias, (0, 1), value=_UNIT)
    read = attend(query, padded, torch.cat([value, unit], dim=1), biased)
    return read[..., :-1] / read[..., -1:].clamp(min=_LEAST)


def _parts(memory: Tensor, pointers: Tensor) -> list[Tensor]:
    """Something of each key, of memories (B, M, n, X) and pointers (B, P, X), in parts to read at once."""
    if memory.shape[1] * memory.shape[2] <= MOST_AT_ONCE:
        return [torch.cat([memory.flatten(1, 2), pointers], dim=1)]
    return [*memory.unbind(1), pointers]


def places_of(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h·w, C)"""
    return x.flatten(2).transpose(1, 2)


def per_object(x: Tensor, objects: int) -> Tensor:
    """(F, …) of F pictures -> (objects, …), each picture repeated for its share of the objects."""
    pictures = x.shape[0]
    if pictures == 1:
        return x.expand(objects, *x.shape[1:])
    return x.repeat_interleave(objects // pictures, dim=0)


def _halves(size: int) -> Tensor:
    """Row order that puts the first of each rotated pair before all the second ones."""
    return torch.cat([torch.arange(0, size, 2), torch.arange(1, size, 2)])
