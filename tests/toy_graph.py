"""A small graph for tests of backends, with a few of the real graphs' operations."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engines.backends.graph import Array, Graph, Port


class Toy(nn.Module):
    """Attention of B rows over one shared image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key = nn.Linear(8, 16), nn.Linear(3, 16)

    def forward(self, pixels: Tensor, rows: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 4, 4, 3) uint8, (B, 8), (B, 16) -> (B, 3), (B,)."""
        colours = pixels.reshape(1, 16, 3).float() / 255
        weights = self.query(rows)[:, None] @ self.key(colours).transpose(1, 2) + bias[:, None]
        read = weights.softmax(dim=-1) @ colours
        return read[:, 0], weights.amax(dim=(1, 2))


def toy_graph(fingerprint: str = "toy-1") -> Graph:
    """The graph of `Toy` with an open batch of rows."""
    ports = (Port("pixels", (1, 4, 4, 3), "uint8"), Port("rows", (None, 8)), Port("bias", (None, 16)))
    return Graph("toy", Toy().eval().requires_grad_(False), ports, ("read", "peak"), fingerprint)


def toy_inputs(rows: int, seed: int = 0) -> tuple[Array, ...]:
    """Random inputs of `Toy` for a number of rows."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 255, (1, 4, 4, 3), np.uint8)
    return pixels, rng.normal(size=(rows, 8)).astype(np.float32), np.zeros((rows, 16), np.float32)
