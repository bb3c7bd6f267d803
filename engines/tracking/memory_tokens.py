"""The tokens of a memory: how the memory encoder's map becomes tokens, and the position of each token.

SAM-2 has one token per place of the stride-16 map. EdgeTAM (arXiv 2501.07256) compresses the map with its 2D
spatial perceiver: global latents attend to the whole map and have no position, a grid of local latents
attends to one window each. That makes 512 tokens where SAM-2 has 4096 at 1024 px.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import EdgeTamVideoModel

from engines.tracking.families import TrackerModel


class TokenLayout(NamedTuple):
    """Positional encodings of the n tokens of a memory."""

    position: Tensor
    "(n, D), added to the tokens where they are keys."
    cos: Tensor
    "(n, C/2), RoPE of the keys; 1 for tokens without a position."
    sin: Tensor
    "(n, C/2), RoPE of the keys; 0 for tokens without a position."


def token_layout(model: TrackerModel) -> TokenLayout:
    """Return the positional encodings of a model's memory tokens."""
    if not isinstance(model, EdgeTamVideoModel):
        side = model.backbone_feature_sizes[-1][0]
        return TokenLayout(_sine(model, side), *rotation(model, model.memory_attention.position_ids))
    perceiver: Any = model.spatial_perceiver
    position = _sine(model, math.isqrt(perceiver.num_latents_2d))
    cos, sin = rotation(model, model.memory_attention.position_ids_k)
    global_latents = perceiver.num_latents_1d
    return TokenLayout(
        torch.cat([torch.zeros(global_latents, position.shape[1]), position]),
        torch.cat([torch.ones(global_latents, cos.shape[1]), cos]),
        torch.cat([torch.zeros(global_latents, sin.shape[1]), sin]),
    )


def rotation(model: TrackerModel, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return RoPE's cosine and sine at places (n, 2): (n, C/2) each, one value per pair of channels."""
    cos, sin = model.memory_attention.rotary_emb(torch.zeros(1), places)
    return cos[0, :, 0::2].clone(), sin[0, :, 0::2].clone()


def _sine(model: TrackerModel, side: int) -> Tensor:
    shape = torch.Size((1, model.mem_dim, side, side))
    position = model.memory_encoder.position_encoding(shape, "cpu", torch.float32)
    return position[0].flatten(1).T.contiguous()  # type: ignore[no-any-return]


def memory_to_tokens(model: TrackerModel) -> nn.Module:
    """Return the module that turns an encoded memory (B, D, h, w) into tokens (B, n, D)."""
    return PerceiverTokens(model) if isinstance(model, EdgeTamVideoModel) else MapTokens()


class MapTokens(nn.Module):
    """One token per place of the map: n = h·w."""

    def forward(self, memory: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, n, D)."""
        return memory.flatten(2).transpose(1, 2)


class PerceiverTokens(nn.Module):
    """EdgeTAM's 2D spatial perceiver for B memories at once; transformers' module takes one."""

    position: Tensor

    def __init__(self, model: EdgeTamVideoModel) -> None:
        super().__init__()
        side: int = model.backbone_feature_sizes[-1][0]
        perceiver: Any = model.spatial_perceiver
        self.layers, self.norm = perceiver.layers, perceiver.layer_norm
        self.latents_1d, self.latents_2d = perceiver.latents_1d, perceiver.latents_2d
        self.windows = math.isqrt(perceiver.num_latents_2d)
        self.register_buffer("position", _sine(model, side)[None], persistent=False)

    def forward(self, memory: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, n, D): global latents, then local latents row by row."""
        objects, channels, height, width = memory.shape
        tokens = memory.flatten(2).transpose(1, 2)
        global_latents = self.latents_1d.expand(objects, -1, -1)
        for layer in self.layers:
            global_latents = layer(global_latents, tokens, self.position.expand(objects, -1, -1))
        rows, columns = height // self.windows, width // self.windows
        windows = memory.reshape(objects, channels, self.windows, rows, self.windows, columns)
        windows = windows.permute(0, 2, 4, 3, 5, 1).reshape(-1, rows * columns, channels)
        local_latents = self.latents_2d.expand(objects, -1, -1).reshape(-1, 1, channels)
        for layer in self.layers:
            local_latents = layer(local_latents, windows)
        latents = torch.cat([global_latents, local_latents.reshape(objects, -1, channels)], dim=1)
        return self.norm(latents)  # type: ignore[no-any-return]
