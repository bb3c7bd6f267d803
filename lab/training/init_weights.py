"""Weights to start from in layers as narrow as nano's."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def waken(model: nn.Module) -> None:
    """Deviations of 1 / sqrt(fan in) in all layers: the library's 0.02 leaves narrow ones almost silent."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution is (in, out, k, k); ours do not overlap.
            transposed = isinstance(module, nn.ConvTranspose2d)
            fan_in = module.weight.shape[0] if transposed else module.weight[0].numel()
            nn.init.trunc_normal_(module.weight, std=fan_in**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
