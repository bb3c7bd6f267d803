"""The form of a memory: which tokens it is made of, and where in the picture each of them is.

SAM-2 keeps one token per place of the stride-16 map. EdgeTAM (arXiv 2501.07256) compresses them with its 2D
spatial perceiver: global latents, each of which reads the whole map and is nowhere in particular, and a grid
of local ones, each of which reads its own window: 512 tokens where SAM-2 has 4096 at 1024 px.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import EdgeTamVideoModel

from engines.tracking.families import TrackerModel


class Layout(NamedTuple):
    """Where the n tokens of a memory are."""

    position: Tensor
    "(n, D), added to the tokens where they are keys"
    cos: Tensor
    "(n, C/2)"
    sin: Tensor
    "(n, C/2), with `cos` RoPE's rotation of the keys; none for tokens that are nowhere"


def layout_of(model: TrackerModel) -> Layout:
    """The layout of a model's memories."""
    if not isinstance(model, EdgeTamVideoModel):
        side = model.backbone_feature_sizes[-1][0]
        return Layout(_sine(model, side), *rotation(model, model.memory_attention.position_ids))
    perceiver: Any = model.spatial_perceiver
    position = _sine(model, math.isqrt(perceiver.num_latents_2d))
    cos, sin = rotation(model, model.memory_attention.position_ids_k)
    count = perceiver.num_latents_1d
    return Layout(
        torch.cat([torch.zeros(count, position.shape[1]), position]),
        torch.cat([torch.ones(count, cos.shape[1]), cos]),
        torch.cat([torch.zeros(count, sin.shape[1]), sin]),
    )


def rotation(model: TrackerModel, places: Tensor) -> tuple[Tensor, Tensor]:
    """RoPE at places (n, 2): cosine and sine (n, C/2), one for each pair of channels."""
    cos, sin = model.memory_attention.rotary_emb(torch.zeros(1), places)
    return cos[0, :, 0::2].clone(), sin[0, :, 0::2].clone()


def _sine(model: TrackerModel, side: int) -> Tensor:
    shape = torch.Size((1, model.mem_dim, side, side))
    position = model.memory_encoder.position_encoding(shape, "cpu", torch.float32)
    return position[0].flatten(1).T.contiguous()  # type: ignore[no-any-return]


def form_of(model: TrackerModel) -> nn.Module:
    """What turns an encoded memory (B, D, h, w) into tokens (B, n, D)."""
    return Perceiver(model) if isinstance(model, EdgeTamVideoModel) else PerPlace()


class PerPlace(nn.Module):
    """Every place of the map is a token: n = h·w."""

    def forward(self, memory: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, n, D)."""
        return memory.flatten(2).transpose(1, 2)


class Perceiver(nn.Module):
    """EdgeTAM's 2D spatial perceiver, for B memories at once: transformers' own takes one."""

    position: Tensor

    def __init__(self, model: EdgeTamVideoModel) -> None:
        super().__init__()
        side: int = model.backbone_feature_sizes[-1][0]
        perceiver: Any = model.spatial_perceiver
        self.layers, self.norm = perceiver.layers, perceiver.layer_norm
        self.everywhere, self.local = perceiver.latents_1d, perceiver.latents_2d
        self.windows = math.isqrt(perceiver.num_latents_2d)
        self.register_buffer("position", _sine(model, side)[None], persistent=False)

    def forward(self, memory: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, n, D): global latents, then local ones row by row."""
        objects, channels, height, width = memory.shape
        places = memory.flatten(2).transpose(1, 2)
        whole = self.everywhere.expand(objects, -1, -1)
        for layer in self.layers:
            whole = layer(whole, places, self.position.expand(objects, -1, -1))
        rows, columns = height // self.windows, width // self.windows
        tiles = memory.reshape(objects, channels, self.windows, rows, self.windows, columns)
        tiles = tiles.permute(0, 2, 4, 3, 5, 1).reshape(-1, rows * columns, channels)
        local = self.local.expand(objects, -1, -1).reshape(-1, 1, channels)
        for layer in self.layers:
            local = layer(local, tiles)
        return self.norm(torch.cat([whole, local.reshape(objects, -1, channels)], dim=1))  # type: ignore[no-any-return]
