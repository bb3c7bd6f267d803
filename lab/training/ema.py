"""The running mean of the weights, which is what is exported: steps of few clips are noisy."""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

AVERAGING: Final = 0.02
"""Weight of a step in the running mean: about the last fifty count."""


def blend(average: nn.Module, model: nn.Module) -> None:
    """Move `average` one step towards `model`; buffers stay, they are not learnt."""
    with torch.no_grad():
        for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(weight, AVERAGING)
