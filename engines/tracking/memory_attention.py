"""SAM-2's memory attention, and EdgeTAM's, over a fixed number of memory slots.

An empty slot is masked by a bias on its keys, which equals leaving it out (test: `test_memory_attention.py`).
RoPE is real-valued: rows of the query and key projections are ordered "first of each pair, second of each
pair". That leaves every product of a query and a key unchanged and makes the rotation two products of halves.

Attention is written as matmul, softmax, matmul: OpenVINO 2026.4 computes the fused operation wrong in Hiera's
blocks with trained weights.
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
from engines.tracking.memory_tokens import rotation, token_layout

MAX_KEYS_PER_SOFTMAX: Final = 16_384
"""Memory keys in one attention product; with more, each memory is attended to separately and the parts are
combined. A layer takes OpenVINO (bfloat16, one thread) 700 ms in one product and 342 in parts at 1024 px
(32,768 keys); 22 and 20 at 512 px (8,192 keys), which stays one product as upstream."""
_REFERENCE_SCORE: Final = 40.0
"""Attention score of the reference key through which parts are combined: in the middle of what the logarithm
of summed exponentials over thousands of keys reaches. Nano's, the only trained model at hand: 3 to 37."""
_MIN_SHARE: Final = 1e-35
"e^-80: a thousand values divided by it are still finite in float32."

_sine: Any = modeling_sam2_video.get_1d_sine_pe


class MemoryAttention(nn.Module):
    """Memory attention over fixed slots. Inputs as in `graphs.TrackStep`; output (B, h·w, C)."""

    position: Tensor
    memory_position: Tensor
    cos: Tensor
    sin: Tensor
    memory_cos: Tensor
    memory_sin: Tensor
    halves: Tensor

    def __init__(self, model: TrackerModel) -> None:
        """Raises ValueError for more than one head."""
        super().__init__()
        config = model.config
        if config.memory_attention_num_attention_heads != 1:
            raise ValueError("memory attention with more than one head is not supported")
        self.blocks: Any = model.memory_attention.layers
        self.norm = model.memory_attention.layer_norm
        self.maskmem_tpos_enc = model.memory_temporal_positional_encoding
        self.obj_ptr_tpos_proj = model.temporal_positional_encoding_projection_layer
        self.add_tpos_to_obj_ptrs = config.enable_temporal_pos_encoding_for_object_pointers
        self.max_age = float(config.max_object_pointers_in_encoder - 1)
        self.memory_channels = model.mem_dim
        self.hidden = model.hidden_dim
        height, width = model.backbone_feature_sizes[-1]
        shape = torch.Size((1, self.hidden, height, width))
        position = model.vision_encoder.neck.position_encoding(shape, "cpu", torch.float32)
        self.register_buffer("position", to_tokens(position).clone(), persistent=False)
        cos, sin = rotation(model, model.memory_attention.position_ids)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        layout = token_layout(model)
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
        obj_ptr: Tensor,
        obj_ptr_age: Tensor,
        obj_ptr_bias: Tensor,
    ) -> Tensor:
        """See the class."""
        objects, _, tokens, channels = memory.shape
        splits = self.hidden // channels  # an object pointer is C / D tokens of a memory's width
        # Row 0 of the table is for the newest tracked frame, the last row for conditioning memories.
        table = self.maskmem_tpos_enc.reshape(-1, channels).roll(1, 0)
        memory_position = self.memory_position[:, None] + table[memory_age][:, :, None]
        keyed_memory = memory + memory_position
        obj_ptrs = obj_ptr.reshape(objects, -1, channels)
        keyed_obj_ptrs = obj_ptrs
        if self.add_tpos_to_obj_ptrs:
            time = self.obj_ptr_tpos_proj(_sine(obj_ptr_age / self.max_age, dim=self.hidden))
            keyed_obj_ptrs = obj_ptrs + time[:, :, None].expand(-1, -1, splits, -1).reshape(obj_ptrs.shape)
        values = _parts(memory, obj_ptrs)
        biases = _parts(
            memory_bias[:, :, None, None].expand(-1, -1, tokens, -1),
            obj_ptr_bias[:, :, None].expand(-1, -1, splits).reshape(objects, -1, 1),
        )
        biases = [bias.transpose(1, 2) for bias in biases]
        x = to_tokens(features) + 0.1 * self.position
        for block in self.blocks:
            x = x + self._self_attention(block.self_attn, block.layer_norm1(x))
            query = self._query(block.cross_attn_image.q_proj, block.layer_norm2(x))
            keys = self._keys(block.cross_attn_image, keyed_memory, keyed_obj_ptrs)
            if query.shape[0] != objects:  # features of one image (or a few), shared by their objects
                query, x = per_object(query, objects), per_object(x, objects)
            # Attention weights add up to 1, so the value projection may follow: a quarter of the product.
            attended = block.cross_attn_image.v_proj(attend_in_parts(query, keys, values, biases))
            x = x + block.cross_attn_image.o_proj(attended)
            x = x + _feed_forward(block, block.layer_norm3(x))
        return self.norm(x)  # type: ignore[no-any-return]

    def _self_attention(self, attention: Any, x: Tensor) -> Tensor:
        query, key = self._query(attention.q_proj, x), self._query(attention.k_proj, x)
        return attention.o_proj(attend(query, key, attention.v_proj(x), None))  # type: ignore[no-any-return]

    def _query(self, projection: nn.Linear, x: Tensor) -> Tensor:
        return self._rotated(projection, x, self.cos, self.sin)

    def _keys(self, attention: Any, memory: Tensor, obj_ptrs: Tensor) -> list[Tensor]:
        """Project keys; those of object pointers have no spatial position and are not rotated."""
        keys = self._rotated(attention.k_proj, memory, self.memory_cos, self.memory_sin)
        weight, bias = self._in_halves(attention.k_proj)
        return _parts(keys, functional.linear(obj_ptrs, weight, bias))

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
    """Scaled dot-product attention: query (B, Q, C), key (B, K, C), value (B, K, D), bias (B, 1, K)."""
    weights = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)
    if bias is not None:
        weights = weights + bias
    return weights.softmax(dim=-1) @ value


def multi_head_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, heads: int
) -> Tensor:
    """Attend with heads of equal width, adjacent in C.

    query (B, Q, C), key and value (B, K, C), bias (B, 1, K) -> (B, Q, C).
    """
    # Heads are folded into the batch: with a dimension of their own, OpenVINO transposes the keys once more
    # (nano's encoder 4.7 instead of 4.35 ms, tiny's at 512 px 162 instead of 156; bfloat16, one thread).
    query, key, value = (
        part.reshape(part.shape[0], part.shape[1], heads, -1).transpose(1, 2).flatten(0, 1)
        for part in (query, key, value)
    )
    if bias is not None:
        bias = bias[:, None].expand(-1, heads, -1, -1).flatten(0, 1)
    attended = attend(query, key, value, bias)
    return attended.reshape(-1, heads, attended.shape[1], attended.shape[2]).transpose(1, 2).flatten(2)


def attend_in_parts(
    query: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor], biases: Sequence[Tensor]
) -> Tensor:
    """Attend to the keys of all parts as if they were one sequence: (B, Q, C) -> (B, Q, D).

    keys (B, K, C), values (B, K, D) and biases (B, 1, K) of each part. The softmax of a part does not include
    the other parts' keys. So each part gets one more key with the score _REFERENCE_SCORE: relative to its
    weight, the results of the parts add up. Two more value channels carry a query's weight on that key and on
    all others. This holds while the log-sum-exp of a part is within 80 of _REFERENCE_SCORE; above, parts
    count alike, below, a part counts nothing.
    """
    if len(keys) == 1:
        return attend(query, keys[0], values[0], biases[0])
    first, *others = (_relative_attention(query, *part) for part in zip(keys, values, biases, strict=True))
    total = sum(others, start=first)
    return total[..., :-1] / total[..., -1:].clamp(min=_MIN_SHARE)


def _relative_attention(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Return (B, Q, D + 1): unnormalised weighted values, then the sum of weights, per reference weight."""
    value = functional.pad(functional.pad(value, (0, 1), value=1.0), (0, 1))
    reference = functional.pad(torch.zeros_like(value[:, :1, 1:]), (0, 1), value=1.0)
    padded = functional.pad(key, (0, 0, 0, 1))
    biased = functional.pad(bias, (0, 1), value=_REFERENCE_SCORE)
    attended = attend(query, padded, torch.cat([value, reference], dim=1), biased)
    return attended[..., :-1] / attended[..., -1:].clamp(min=_MIN_SHARE)


def _parts(memory: Tensor, obj_ptrs: Tensor) -> list[Tensor]:
    """Group per-key values of memories (B, M, n, X) and object pointers (B, P, X) for `attend_in_parts`."""
    if memory.shape[1] * memory.shape[2] <= MAX_KEYS_PER_SOFTMAX:
        return [torch.cat([memory.flatten(1, 2), obj_ptrs], dim=1)]
    return [*memory.unbind(1), obj_ptrs]


def to_tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h·w, C)"""
    return x.flatten(2).transpose(1, 2)


def per_object(x: Tensor, objects: int) -> Tensor:
    """(F, ...) of F images -> (objects, ...), each image repeated for its share of the objects."""
    images = x.shape[0]
    if images == 1:
        return x.expand(objects, *x.shape[1:])
    return x.repeat_interleave(objects // images, dim=0)


def _halves(size: int) -> Tensor:
    """Return the row order that puts the first of each rotated pair before all the second ones."""
    return torch.cat([torch.arange(0, size, 2), torch.arange(1, size, 2)])
