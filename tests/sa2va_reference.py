"""Reference implementation of Sa2VA's published algorithms, on published tensors.

Written from the papers and from what the public code computes (bytedance/Sa2VA, OpenGVLab InternVL, Qwen-VL,
InternLM2, facebookresearch/sam2), one image and one sequence at a time, in float32,
without the modules under test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the usual alias

Tensors = Mapping[str, Tensor]
Rotary = Callable[[Tensor], Tensor]
"Applies rotary position embeddings to (S, heads, width)."


def linear(t: Tensors, name: str, x: Tensor) -> Tensor:
    return F.linear(x, t[f"{name}.weight"], t.get(f"{name}.bias"))


def rms(x: Tensor, weight: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight


def layer_norm(t: Tensors, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], eps=1e-6)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """(S, H, d), (T, G, d) → (S, H * d); each of G key heads serves H / G consecutive query heads."""
    k, v = (one.repeat_interleave(q.shape[1] // one.shape[1], dim=1) for one in (k, v))
    scores = torch.einsum("shd,thd->hst", q, k) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return torch.einsum("hst,thd->shd", scores.softmax(-1), v).flatten(1)


def rotated(x: Tensor, angle: Tensor) -> Tensor:
    """Rotate (S, heads, d) by angles (S, d / 2); a head's second half is the imaginary part of its first."""
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    real, imaginary = x.chunk(2, dim=-1)
    return torch.cat([real * cos - imaginary * sin, imaginary * cos + real * sin], dim=-1)


def frequencies(width: int, theta: float) -> Tensor:
    return theta ** -(torch.arange(0, width, 2).float() / width)


# --- language models: (S, D) embedded tokens → (S, D) after the final norm


def rotary(width: int, theta: float, size: int) -> Rotary:
    angle = torch.arange(size)[:, None] * frequencies(width, theta)
    return lambda x: rotated(x, angle)


def qwen_language_model(
    t: Tensors, prefix: str, text: Mapping[str, Any], x: Tensor, rotate: Rotary, deepstack: DeepStack
) -> Tensor:
    """Qwen2, Qwen2.5, Qwen3 before the final norm; `deepstack` is added after the first layers."""
    heads, groups = text["num_attention_heads"], text["num_key_value_heads"]
    causal = torch.ones(len(x), len(x), dtype=torch.bool).tril()
    for index in range(text["num_hidden_layers"]):
        layer = f"{prefix}layers.{index}."
        normed = rms(x, t[f"{layer}input_layernorm.weight"])
        q, k, v = (
            linear(t, f"{layer}self_attn.{letter}_proj", normed).view(len(x), count, -1)
            for letter, count in (("q", heads), ("k", groups), ("v", groups))
        )
        if f"{layer}self_attn.q_norm.weight" in t:
            q, k = rms(q, t[f"{layer}self_attn.q_norm.weight"]), rms(k, t[f"{layer}self_attn.k_norm.weight"])
        x = x + linear(t, f"{layer}self_attn.o_proj", attend(rotate(q), rotate(k), v, causal))
        normed = rms(x, t[f"{layer}post_attention_layernorm.weight"])
        gate = F.silu(linear(t, f"{layer}mlp.gate_proj", normed))
        x = x + linear(t, f"{layer}mlp.down_proj", gate * linear(t, f"{layer}mlp.up_proj", normed))
        if index < len(deepstack):
            places, added = deepstack[index]
            x = x.index_add(0, places, added)
    return x


DeepStack = Sequence[tuple[Tensor, Tensor]]


def internlm2_language_model(
    t: Tensors, prefix: str, text: Mapping[str, Any], x: Tensor, rotate: Rotary
) -> Tensor:
    """InternLM2: one projection for q, k and v, fused by group: queries, key, value."""
    heads, groups = text["num_attention_heads"], text["num_key_value_heads"]
    causal = torch.ones(len(x), len(x), dtype=torch.bool).tril()
    for index in range(text["num_hidden_layers"]):
        layer = f"{prefix}layers.{index}."
        fused = linear(t, f"{layer}attention.wqkv", rms(x, t[f"{layer}attention_norm.weight"]))
        fused = fused.view(len(x), groups, heads // groups + 2, -1)
        q, k, v = fused[:, :, :-2].flatten(1, 2), fused[:, :, -2], fused[:, :, -1]
        x = x + linear(t, f"{layer}attention.wo", attend(rotate(q), rotate(k), v, causal))
        normed = rms(x, t[f"{layer}ffn_norm.weight"])
        gate = F.silu(linear(t, f"{layer}feed_forward.w1", normed))
        x = x + linear(t, f"{layer}feed_forward.w2", gate * linear(t, f"{layer}feed_forward.w3", normed))
    return rms(x, t[f"{prefix}norm.weight"])


# --- InternViT: (3, 56, 56) → (4, D) image tokens


def intern_vit(t: Tensors, vision: Mapping[str, Any], pixels: Tensor) -> Tensor:
    tower, patch, heads = "vision_model.", vision["patch_size"], vision["num_attention_heads"]
    grid = F.conv2d(
        pixels[None],
        t[f"{tower}embeddings.patch_embedding.weight"],
        t[f"{tower}embeddings.patch_embedding.bias"],
        stride=patch,
    )
    side = grid.shape[-1]
    x = torch.cat([t[f"{tower}embeddings.class_embedding"][0], grid[0].flatten(1).T])
    x = x + t[f"{tower}embeddings.position_embedding"][0]
    for index in range(vision["num_hidden_layers"]):
        layer = f"{tower}encoder.layers.{index}."
        fused = linear(t, f"{layer}attn.qkv", layer_norm(t, f"{layer}norm1", x)).view(len(x), 3, heads, -1)
        x = x + linear(t, f"{layer}attn.proj", attend(*fused.unbind(1))) * t[f"{layer}ls1"]
        inner = F.gelu(linear(t, f"{layer}mlp.fc1", layer_norm(t, f"{layer}norm2", x)))
        x = x + linear(t, f"{layer}mlp.fc2", inner) * t[f"{layer}ls2"]
    cells = x[1:].view(side // 2, 2, side // 2, 2, -1).permute(0, 2, 1, 3, 4).reshape(side * side // 4, -1)
    normed = F.layer_norm(cells, cells.shape[-1:], t["mlp1.0.weight"], t["mlp1.0.bias"], eps=1e-5)
    return linear(t, "mlp1.3", F.gelu(linear(t, "mlp1.1", normed)))


# --- Qwen-VL's vision encoder: (3, H, W) → (cells, D) image tokens, and DeepStack's features


def qwen_vision(t: Tensors, vision: Mapping[str, Any], pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
    tower, patch = "model.model.visual.", vision["patch_size"]
    qwen3 = f"{tower}pos_embed.weight" in t
    rows, columns = pixels.shape[1] // patch, pixels.shape[2] // patch
    still = pixels[None, :, None].repeat(1, 1, 2, 1, 1)
    grid = F.conv3d(
        still,
        t[f"{tower}patch_embed.proj.weight"],
        t.get(f"{tower}patch_embed.proj.bias"),
        stride=(2, patch, patch),
    )
    # Rows and columns of patches, cell by cell.
    down, right = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    down, right = (
        one.view(rows // 2, 2, columns // 2, 2).permute(0, 2, 1, 3).flatten() for one in (down, right)
    )
    x = grid[0, :, 0, down, right].T
    if qwen3:
        x = x + _interpolated(t[f"{tower}pos_embed.weight"], rows, columns)[down, right]
    heads = vision["num_heads"]
    half = frequencies(vision["hidden_size"] // heads // 2, 10_000.0)
    angle = torch.cat([down[:, None] * half, right[:, None] * half], dim=1)
    deepstack = []
    for index in range(vision["depth"]):
        block = f"{tower}blocks.{index}."
        normed = layer_norm(t, f"{block}norm1", x) if qwen3 else rms(x, t[f"{block}norm1.weight"])
        q, k, v = linear(t, f"{block}attn.qkv", normed).view(len(x), 3, heads, -1).unbind(1)
        mask = None
        if not qwen3 and index not in vision["fullatt_block_indexes"]:
            window = vision["window_size"] // patch
            number = (down // window) * 10_000 + right // window
            mask = number[:, None] == number[None]
        x = x + linear(t, f"{block}attn.proj", attend(rotated(q, angle), rotated(k, angle), v, mask))
        if qwen3:
            inner = linear(t, f"{block}mlp.linear_fc1", layer_norm(t, f"{block}norm2", x))
            x = x + linear(t, f"{block}mlp.linear_fc2", F.gelu(inner, approximate="tanh"))
        else:
            normed = rms(x, t[f"{block}norm2.weight"])
            gate = F.silu(linear(t, f"{block}mlp.gate_proj", normed))
            x = x + linear(t, f"{block}mlp.down_proj", gate * linear(t, f"{block}mlp.up_proj", normed))
        if qwen3 and index in vision["deepstack_visual_indexes"]:
            name = f"{tower}deepstack_merger_list.{len(deepstack)}"
            cells = layer_norm(t, f"{name}.norm", x.reshape(len(x) // 4, -1))
            deepstack.append(linear(t, f"{name}.linear_fc2", F.gelu(linear(t, f"{name}.linear_fc1", cells))))
    if qwen3:
        cells = layer_norm(t, f"{tower}merger.norm", x).reshape(len(x) // 4, -1)
        return linear(
            t, f"{tower}merger.linear_fc2", F.gelu(linear(t, f"{tower}merger.linear_fc1", cells))
        ), deepstack
    cells = rms(x, t[f"{tower}merger.ln_q.weight"]).reshape(len(x) // 4, -1)
    return linear(t, f"{tower}merger.mlp.2", F.gelu(linear(t, f"{tower}merger.mlp.0", cells))), deepstack


def _interpolated(table: Tensor, rows: int, columns: int) -> Tensor:
    """Interpolate the position embeddings of a square grid with aligned corners: (rows, columns, C)."""
    side = math.isqrt(len(table))
    square = table.T.view(1, -1, side, side)
    return F.interpolate(square, (rows, columns), mode="bilinear", align_corners=True)[0].permute(1, 2, 0)


def multi_axis_rotary(text: Mapping[str, Any], places: Tensor) -> Rotary:
    """Rotary embedding of position ids (3, S) on three axes, each with its share of the frequencies."""
    rope, width = text["rope_scaling"], text["head_dim"]
    angles = places[:, :, None] * frequencies(width, text["rope_theta"])
    axis = torch.empty(width // 2, dtype=torch.int64)
    sections = rope["mrope_section"]
    if rope.get("mrope_interleaved"):
        # Time, height and width alternate until height and width are used up, then time.
        axis[:] = 0
        axis[1 : 3 * sections[1] : 3], axis[2 : 3 * sections[2] : 3] = 1, 2
    else:
        axis[:] = torch.tensor([k for k, count in enumerate(sections) for _ in range(count)])
    angle = angles.gather(0, axis.expand(1, len(places[0]), -1))[0]
    return lambda x: rotated(x, angle)


# --- SAM-2: (3, S, S) and a prompt (E,) → the mask decoder's (3, S / 4, S / 4) logits and (3,) predicted IoU


def sam_feature_maps(t: Tensors, backbone: Mapping[str, Any], pixels: Tensor) -> list[Tensor]:
    """Hiera and FPN: feature maps of strides 4, 8, 16, each (E, h, w)."""
    trunk = "grounding_encoder.sam2_model.image_encoder.trunk."
    grid = F.conv2d(
        pixels[None],
        t[f"{trunk}patch_embed.proj.weight"],
        t[f"{trunk}patch_embed.proj.bias"],
        stride=4,
        padding=3,
    )
    height, width = grid.shape[2:]
    places = F.interpolate(t[f"{trunk}pos_embed"], (height, width), mode="bicubic")
    window = t[f"{trunk}pos_embed_window"]
    tiles = window.tile(1, 1, height // window.shape[2], width // window.shape[3])
    x = (grid + places + tiles)[0].permute(1, 2, 0)
    index, outs = 0, []
    for stage, blocks in enumerate(backbone["blocks_per_stage"]):
        heads = backbone["num_attention_heads_per_stage"][stage]
        for turn in range(blocks):
            # The block that pools the map uses the window size of the stage before.
            pools = stage > 0 and turn == 0
            side = backbone["window_size_per_stage"][stage - 1 if pools else stage]
            side = 0 if index in backbone["global_attention_blocks"] else side
            x = _hiera_block(t, f"{trunk}blocks.{index}.", x, heads, side, pools=pools)
            index += 1
        outs.append(x.permute(2, 0, 1)[None])
    neck = "grounding_encoder.sam2_model.image_encoder.neck.convs."
    level = [
        F.conv2d(out, t[f"{neck}{k}.conv.weight"], t[f"{neck}{k}.conv.bias"])
        for k, out in enumerate(reversed(outs))
    ]
    coarse = level[1] + F.interpolate(level[0], scale_factor=2.0, mode="nearest")
    return [level[3][0], level[2][0], coarse[0]]


def _hiera_block(t: Tensors, block: str, x: Tensor, heads: int, side: int, *, pools: bool) -> Tensor:
    normed = layer_norm(t, f"{block}norm1", x)
    height, width = x.shape[:2]
    side = side or height
    rows = normed.view(height // side, side, width // side, side, -1).permute(0, 2, 1, 3, 4).flatten(0, 1)
    windows = []
    for square in rows:
        q, k, v = (
            linear(t, f"{block}attn.qkv", square.flatten(0, 1)).view(side * side, 3, heads, -1).unbind(1)
        )
        if pools:
            q = _pooled(q.reshape(side, side, -1)).reshape(side * side // 4, heads, -1)
        windows.append(linear(t, f"{block}attn.proj", attend(q, k, v)))
    small = side // 2 if pools else side
    attended = (
        torch.stack(windows).view(height // side, width // side, small, small, -1).permute(0, 2, 1, 3, 4)
    )
    attended = attended.reshape(height // side * small, width // side * small, -1)
    shortcut = _pooled(linear(t, f"{block}proj", normed)) if pools else x
    x = shortcut + attended
    inner = F.gelu(linear(t, f"{block}mlp.layers.0", layer_norm(t, f"{block}norm2", x)))
    return x + linear(t, f"{block}mlp.layers.1", inner)


def _pooled(x: Tensor) -> Tensor:
    return F.max_pool2d(x.permute(2, 0, 1), 2).permute(1, 2, 0)


def sam_decode_masks(t: Tensors, maps: Sequence[Tensor], prompt: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """The mask decoder without memory: [padding, padding, `[SEG]` embedding], map + no_mem_embed."""
    sam = "grounding_encoder.sam2_model."
    decoder, encoder = f"{sam}sam_mask_decoder.", f"{sam}sam_prompt_encoder."
    height, width = maps[2].shape[1:]
    tokens = torch.cat(
        [
            t[f"{decoder}obj_score_token.weight"],
            t[f"{decoder}iou_token.weight"],
            t[f"{decoder}mask_tokens.weight"],
            t[f"{encoder}not_a_point_embed.weight"].expand(2, -1),
            prompt[None],
        ]
    )
    coarse = maps[2] + t[f"{sam}no_mem_embed"].view(-1, 1, 1)
    image = (coarse + t[f"{encoder}no_mask_embed.weight"].view(-1, 1, 1)).flatten(1).T
    places = _position_encoding(t[f"{encoder}pe_layer.positional_encoding_gaussian_matrix"], height, width)
    attended, image = _two_way_transformer(t, f"{decoder}transformer.", tokens, image, places, heads)
    fine = [
        F.conv2d(maps[k][None], t[f"{decoder}conv_s{k}.weight"], t[f"{decoder}conv_s{k}.bias"])
        for k in (0, 1)
    ]
    grid = image.T.view(1, -1, height, width)
    up = f"{decoder}output_upscaling."
    grid = F.conv_transpose2d(grid, t[f"{up}0.weight"], t[f"{up}0.bias"], stride=2) + fine[1]
    normed = F.layer_norm(
        grid[0].permute(1, 2, 0), grid.shape[1:2], t[f"{up}1.weight"], t[f"{up}1.bias"], 1e-6
    )
    grid = F.gelu(normed.permute(2, 0, 1)[None])
    grid = F.gelu(F.conv_transpose2d(grid, t[f"{up}3.weight"], t[f"{up}3.bias"], stride=2) + fine[0])[0]
    masks = torch.stack(
        [
            torch.einsum(
                "c,chw->hw", _mlp(t, f"{decoder}output_hypernetworks_mlps.{k}", attended[2 + k]), grid
            )
            for k in (1, 2, 3)
        ]
    )
    return masks, _mlp(t, f"{decoder}iou_prediction_head", attended[1]).sigmoid()[1:]


def _mlp(t: Tensors, name: str, x: Tensor) -> Tensor:
    for layer in (0, 1):
        x = F.relu(linear(t, f"{name}.layers.{layer}", x))
    return linear(t, f"{name}.layers.2", x)


def _position_encoding(matrix: Tensor, height: int, width: int) -> Tensor:
    y, x = torch.meshgrid(
        (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
    )
    waves = 2 * math.pi * (2 * torch.stack([x, y], -1).flatten(0, 1) - 1) @ matrix
    return torch.cat([waves.sin(), waves.cos()], -1)


def _heads(t: Tensors, name: str, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    q, k, v = (
        linear(t, f"{name}.{letter}_proj", x).view(len(x), heads, -1)
        for letter, x in (("q", q), ("k", k), ("v", v))
    )
    return linear(t, f"{name}.out_proj", attend(q, k, v))


def _norm(t: Tensors, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], 1e-5)


def _two_way_transformer(
    t: Tensors, name: str, point: Tensor, image: Tensor, places: Tensor, heads: int
) -> tuple[Tensor, Tensor]:
    """Two layers of self-, token-to-image attention, MLP, image-to-token attention; then token-to-image."""
    tokens = point
    for index in (0, 1):
        layer = f"{name}layers.{index}."
        queries = tokens if index == 0 else tokens + point
        attended = _heads(t, f"{layer}self_attn", queries, queries, tokens, heads)
        tokens = _norm(t, f"{layer}norm1", attended if index == 0 else tokens + attended)
        attended = _heads(
            t, f"{layer}cross_attn_token_to_image", tokens + point, image + places, image, heads
        )
        tokens = _norm(t, f"{layer}norm2", tokens + attended)
        inner = F.relu(linear(t, f"{layer}mlp.layers.0", tokens))
        tokens = _norm(t, f"{layer}norm3", tokens + linear(t, f"{layer}mlp.layers.1", inner))
        attended = _heads(
            t, f"{layer}cross_attn_image_to_token", image + places, tokens + point, tokens, heads
        )
        image = _norm(t, f"{layer}norm4", image + attended)
    attended = _heads(t, f"{name}final_attn_token_to_image", tokens + point, image + places, image, heads)
    return _norm(t, f"{name}norm_final_attn", tokens + attended), image
