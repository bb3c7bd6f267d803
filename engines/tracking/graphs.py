"""SAM-2's video model cut into three graphs with fixed, named shapes.

`transformers`' `Sam2VideoModel` holds the weights; its video session decides in Python, frame by
frame and object by object, what to compute. Here the same arithmetic is three modules that a
backend can compile once and that train as they run:

    ImageEncoder    a picture                 -> features at strides 16, 8 and 4
    MaskPrompt      features + a given mask   -> object pointer, memory
    TrackStep       features + the memories   -> logits, IoU, score, object pointer, memory

Shapes: B objects, C hidden channels, n = h·w places of the stride-16 map, M memory slots, P pointer
slots, D = 64 memory channels, S the picture's side. All objects of a frame share its features, so
whatever does not depend on memory (the first self-attention) is computed once, not B times.

Memory attention takes fixed slots: an empty one is hidden by a bias on its keys, which equals
leaving it out (test: `test_graphs.py`). RoPE is real-valued: rows of the query and key projections
are taken in the order "first of each pair, second of each pair", which leaves every product of a
query and a key as it was and makes the rotation two multiplications of halves.

Attention is written as matmul, softmax, matmul: OpenVINO 2026.4 computes the fused form wrong in
Hiera's blocks with trained weights.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam2VideoModel
from transformers.models.sam2_video import modeling_sam2_video

_sine: Any = modeling_sam2_video.get_1d_sine_pe

NO_OBJECT: Final = -1024.0
"""Logit everywhere where the object is not in the picture (SAM-2's NO_OBJ_SCORE)."""
PROMPT_SCALE, PROMPT_BIAS = 20.0, -10.0
"""A given mask as logits: -10 outside, 10 inside (SAM-2's `_use_mask_as_output`)."""
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


class MaskPrompt(nn.Module):
    """Turn a given mask into what SAM-2 remembers of it (`_use_mask_as_output`).

    in   features (1, C, h, w), mid (1, C/4, 2h, 2w), fine (1, C/8, 4h, 4w); mask (B, S, S) float32, 0 or 1
    out  pointer (B, C); memory (B, n, D)
    """

    outputs = ("pointer", "memory")

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__()
        self.heads = _Heads(model)
        self.memory = _MemoryWriter(model)
        self.mask_downsample = model.mask_downsample
        self.mask_embed = model.prompt_encoder.mask_embed

    def forward(self, features: Tensor, mid: Tensor, fine: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        objects = mask.shape[0]
        dense = self.mask_embed(self.mask_downsample(mask[:, None]))
        pixels = _per_object(features, objects)
        # transformers decodes a mask prompt with its default, the multimask tokens; so do we.
        _, _, token, score = self.heads(pixels, mid, fine, dense, True)
        given = mask.amax(dim=(1, 2)) > 0
        pointer = self.heads.pointer(token, (score > 0) & given)
        logits = mask[:, None] * PROMPT_SCALE + PROMPT_BIAS
        return pointer, self.memory(pixels, (logits > 0).float(), given)


class TrackStep(nn.Module):
    """Look at a picture with the memories of B objects, then remember it.

    in   features (1, C, h, w), mid (1, C/4, 2h, 2w), fine (1, C/8, 4h, 4w)
         memory (B, M, n, D); memory_age (B, M) int64, 0 for a conditioning memory, k for the k-th
         last frame; memory_bias (B, M), 0 or EMPTY_SLOT
         pointer (B, P, C); pointer_age (B, P) float32, in frames; pointer_bias (B, P)
    out  logits (B, 4h, 4w), not yet blanked where the object is away; iou (B,) the decoder's estimate, 0..1;
         score (B,) logit of "the object is in the picture"; new_pointer (B, C); new_memory (B, n, D)
    """

    outputs = ("logits", "iou", "score", "new_pointer", "new_memory")
    enlarge: Tensor

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__()
        config = model.config
        self.multimask = bool(
            config.multimask_output_in_sam
            and config.multimask_output_for_tracking
            and config.multimask_min_pt_num == 0
        )
        self.attention = MemoryAttention(model)
        self.heads = _Heads(model)
        self.memory_writer = _MemoryWriter(model)
        self.no_mask = model.prompt_encoder.no_mask_embed
        self.register_buffer("enlarge", _enlarger(4 * model.backbone_feature_sizes[-1][0]), persistent=False)

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
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        objects, height, width = memory.shape[0], features.shape[2], features.shape[3]
        bank = (memory, memory_age, memory_bias, pointer, pointer_age, pointer_bias)
        seen = self.attention(features, *bank)
        seen = seen.transpose(1, 2).reshape(objects, -1, height, width)
        dense = self.no_mask.weight.reshape(1, -1, 1, 1)
        logits, iou, token, score = self.heads(seen, mid, fine, dense, self.multimask)
        present = score > 0
        new_pointer = self.heads.pointer(token, present)
        blanked = torch.where(present[:, None, None], logits, NO_OBJECT)
        # Bilinear enlargement as two matrix products: OpenVINO's interpolation takes several times as long.
        large = torch.sigmoid(self.enlarge @ blanked @ self.enlarge.T)[:, None]
        new_memory = self.memory_writer(_per_object(features, objects), large, present)
        return logits, iou, score, new_pointer, new_memory


class MemoryAttention(nn.Module):
    """SAM-2's memory attention over fixed slots; inputs as in `TrackStep`, out (B, n, C)."""

    position: Tensor
    memory_position: Tensor
    cos: Tensor
    sin: Tensor
    halves: Tensor

    def __init__(self, model: Sam2VideoModel) -> None:
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
        memory_shape = torch.Size((1, self.memory_channels, height, width))
        memory_position = model.memory_encoder.position_encoding(memory_shape, "cpu", torch.float32)
        self.register_buffer("position", position.flatten(2).transpose(1, 2).clone(), persistent=False)
        self.register_buffer(
            "memory_position", memory_position.flatten(2).transpose(1, 2).clone(), persistent=False
        )
        cos, sin = model.memory_attention.rotary_emb(position, model.memory_attention.position_ids)
        # The second of each pair has the angle of the first: keep one of them.
        self.register_buffer("cos", cos[0, :, 0::2].clone(), persistent=False)
        self.register_buffer("sin", sin[0, :, 0::2].clone(), persistent=False)
        self.register_buffer("halves", _halves(cos.shape[-1]), persistent=False)

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
        objects, slots, places, channels = memory.shape
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
        values = torch.cat([memory.reshape(objects, slots * places, channels), pointers], dim=1)
        bias = torch.cat(
            [
                memory_bias[:, :, None].expand(-1, -1, places).reshape(objects, -1),
                pointer_bias[:, :, None].expand(-1, -1, splits).reshape(objects, -1),
            ],
            dim=1,
        )[:, None]
        x = features.flatten(2).transpose(1, 2) + 0.1 * self.position
        for block in self.blocks:
            x = x + self._look_around(block.self_attn, block.layer_norm1(x))
            query = self._rotated(block.cross_attn_image.q_proj, block.layer_norm2(x))
            keys = self._keys(block.cross_attn_image, keyed_memory, keyed_pointers)
            remembered = block.cross_attn_image.v_proj(values)
            if query.shape[0] != objects:  # features of one picture (or a few), shared by their objects
                query, x = _per_object(query, objects), _per_object(x, objects)
            read = _attend(query, keys, remembered, bias)
            x = x + block.cross_attn_image.o_proj(read)
            x = x + block.linear2(block.activation(block.linear1(block.layer_norm3(x))))
        return self.norm(x)  # type: ignore[no-any-return]

    def _look_around(self, attention: Any, x: Tensor) -> Tensor:
        query, key = self._rotated(attention.q_proj, x), self._rotated(attention.k_proj, x)
        return attention.o_proj(_attend(query, key, attention.v_proj(x), None))  # type: ignore[no-any-return]

    def _keys(self, attention: Any, memory: Tensor, pointers: Tensor) -> Tensor:
        objects, slots, places, _ = memory.shape
        keys = self._rotated(attention.k_proj, memory).reshape(objects, slots * places, -1)
        weight, bias = self._in_halves(attention.k_proj)
        return torch.cat([keys, functional.linear(pointers, weight, bias)], dim=1)

    def _rotated(self, projection: nn.Linear, x: Tensor) -> Tensor:
        first, second = functional.linear(x, *self._in_halves(projection)).chunk(2, dim=-1)
        return torch.cat([first * self.cos - second * self.sin, second * self.cos + first * self.sin], dim=-1)

    def _in_halves(self, projection: nn.Linear) -> tuple[Tensor, Tensor]:
        return projection.weight[self.halves], projection.bias[self.halves]


class _Heads(nn.Module):
    """The mask decoder with its image-wide positions and empty prompt, and the pointer head."""

    positions: Tensor

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__()
        self.decoder = model.mask_decoder
        self.not_a_point = model.prompt_encoder.not_a_point_embed
        self.project = model.object_pointer_proj
        self.no_pointer = model.no_object_pointer
        with torch.no_grad():
            positions = model.get_image_wide_positional_embeddings()
        self.register_buffer("positions", positions.clone(), persistent=False)

    def forward(
        self, seen: Tensor, mid: Tensor, fine: Tensor, dense: Tensor, multimask: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Best mask (B, 4h, 4w), its IoU (B,), its token (B, C) and the object score (B,)."""
        # No point is two "not a point" tokens: the empty prompt and its padding.
        sparse = self.not_a_point.weight.expand(2, -1)
        wanted = slice(1, None) if multimask else slice(0, 1)
        masks, ious, tokens, score = decode_masks(
            self.decoder, self.positions, seen + dense, (mid, fine), sparse, wanted
        )
        if not multimask:
            return masks[:, 0], ious[:, 0], tokens[:, 0], score
        best = ious.argmax(dim=1, keepdim=True)
        chosen = functional.one_hot(best, ious.shape[1]).to(masks.dtype)  # (B, 1, 3): a matmul picks the best
        mask = (chosen @ masks.flatten(2)).reshape(-1, masks.shape[2], masks.shape[3])
        iou, token = (chosen @ ious[:, :, None]).flatten(), (chosen @ tokens)[:, 0]
        return mask, iou, token, score

    def pointer(self, token: Tensor, present: Tensor) -> Tensor:
        """Object pointer (B, C) of a mask token; the learnt one where the object is away."""
        return torch.where(present[:, None], self.project(token), self.no_pointer)


class _MemoryWriter(nn.Module):
    """SAM-2's memory encoder: features (B, C, h, w), mask (B, 1, S, S) 0..1, present (B,) -> (B, n, D)."""

    def __init__(self, model: Sam2VideoModel) -> None:
        super().__init__()
        self.encoder = model.memory_encoder
        self.scale = model.config.sigmoid_scale_for_mem_enc
        self.bias = model.config.sigmoid_bias_for_mem_enc
        self.away = model.occlusion_spatial_embedding_parameter

    def forward(self, features: Tensor, mask: Tensor, present: Tensor) -> Tensor:
        """See the class."""
        marks = self.encoder.mask_downsampler(mask * self.scale + self.bias)
        x = self.encoder.memory_fuser(self.encoder.feature_projection(features) + marks)
        memory = self.encoder.projection(x).flatten(2).transpose(1, 2)
        if self.away is not None:
            memory = memory + (~present).float()[:, None, None] * self.away
        return memory  # type: ignore[no-any-return]


def decode_masks(
    decoder: Any,
    positions: Tensor,
    seen: Tensor,
    levels: tuple[Tensor, Tensor],
    sparse: Tensor,
    wanted: slice = slice(None),
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """SAM-2's mask decoder.

    positions (1, C, h, w); seen (B, C, h, w) with the dense prompt added; levels (mid, fine) of the
    picture(s); sparse (T, C) or (B, T, C) prompt tokens; wanted: which of the four masks, of which 0 is
    the single one and 1..3 the multimask ones.
    Returns, for the K masks wanted, masks (B, K, 4h, 4w), ious (B, K), mask tokens (B, K, C); and the object
    score logits (B,).
    """
    objects, channels, height, width = seen.shape
    own = torch.cat([decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([own.expand(objects, -1, -1), sparse.expand(objects, -1, -1)], dim=1)
    tokens, image = decoder.transformer(
        point_embeddings=tokens[:, None],
        image_embeddings=seen,
        image_positional_embeddings=positions,
        attention_similarity=None,
    )
    tokens = tokens[:, 0]
    image = image[:, 0].transpose(1, 2).reshape(objects, channels, height, width)
    mid, fine = (_per_object(level, objects) for level in levels)
    image = decoder.activation(decoder.upscale_layer_norm(decoder.upscale_conv1(image) + mid))
    image = decoder.activation(decoder.upscale_conv2(image) + fine)
    mask_tokens = tokens[:, 2 : 2 + decoder.num_mask_tokens][:, wanted]
    mlps = list(decoder.output_hypernetworks_mlps)[wanted]
    weights = torch.stack([mlp(mask_tokens[:, k]) for k, mlp in enumerate(mlps)], dim=1)
    masks = (weights @ image.flatten(2)).reshape(objects, -1, 4 * height, 4 * width)
    ious = decoder.iou_prediction_head(tokens[:, 1])[:, wanted]
    score = decoder.pred_obj_score_head(tokens[:, 0])[:, 0]
    return masks, ious, mask_tokens, score


def _hiera_block(block: Any, x: Tensor) -> Tensor:
    """`Sam2MultiScaleBlock` on (N, H, W, C); sides divisible by the window, as SAM-2's are at its sizes."""
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
    read = _attend(query, key, value, None).transpose(1, 2).reshape(count, height, width, -1)
    return attention.proj(read)  # type: ignore[no-any-return]


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None) -> Tensor:
    weights = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)
    if bias is not None:
        weights = weights + bias
    return weights.softmax(dim=-1) @ value


def _pool(x: Tensor, stride: Any) -> Tensor:
    if stride is None:
        return x
    return functional.max_pool2d(x.permute(0, 3, 1, 2), kernel_size=stride, stride=stride).permute(0, 2, 3, 1)


def _two_convs(x: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """Two 1×1 convolutions with nothing between them are one: 9 times less work at stride 4 for nano."""
    assert first.bias is not None and second.bias is not None
    outer, inner = second.weight.flatten(1), first.weight.flatten(1)
    return functional.conv2d(x, (outer @ inner)[:, :, None, None], outer @ first.bias + second.bias)


def _per_object(x: Tensor, objects: int) -> Tensor:
    """(F, …) of F pictures -> (objects, …), each picture repeated for its share of the objects."""
    pictures = x.shape[0]
    if pictures == 1:
        return x.expand(objects, *x.shape[1:])
    return x.repeat_interleave(objects // pictures, dim=0)


def _enlarger(side: int) -> Tensor:
    """(4 side, side): its product with a column is the column enlarged bilinearly, as `interpolate` does."""
    one_hot = torch.eye(side)[None]
    return functional.interpolate(one_hot, scale_factor=4.0, mode="linear", align_corners=False)[
        0
    ].T.contiguous()


def _halves(size: int) -> Tensor:
    """Row order that puts the first of each rotated pair before all the second ones."""
    return torch.cat([torch.arange(0, size, 2), torch.arange(1, size, 2)])
