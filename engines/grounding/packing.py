"""Many questions behind one picture: block-causal packing.

The prefix (the picture) is written once; every block (a question with its answer) sees the prefix and
itself, not its neighbours, and counts its positions as if it stood alone. So a packed block has the very
hidden states it would have alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A batch of B pictures, each with the same prefix and blocks of its own behind it; S tokens at most."""

    ids: Tensor
    "(B, S) int64."
    positions: Tensor
    "(B, S) int64."
    bias: Tensor
    "(B, 1, S, S) float32, 0 where row may see column, else the lowest float."
    starts: tuple[tuple[int, ...], ...]
    "Index along S of the first token of every block of every picture."

    def to(self, device: torch.device) -> Packed:
        """The same on another device."""
        return Packed(self.ids.to(device), self.positions.to(device), self.bias.to(device), self.starts)


def pack(prefix: Sequence[int], pictures: Sequence[Sequence[Sequence[int]]]) -> Packed:
    """Pack `pictures[b][k]`, the ids of block k of picture b."""
    rows = [_row(len(prefix), blocks) for blocks in pictures]
    size = len(prefix) + max(sum(map(len, blocks)) for blocks in pictures)
    ids = torch.zeros(len(rows), size, dtype=torch.int64)
    positions = torch.zeros(len(rows), size, dtype=torch.int64)
    owner = torch.full((len(rows), size), _PADDING)
    for index, (blocks, row) in enumerate(zip(pictures, rows, strict=True)):
        written = [*prefix, *(token for block in blocks for token in block)]
        ids[index, : len(written)] = torch.tensor(written)
        positions[index, : len(written)] = torch.tensor(row.positions)
        owner[index, : len(written)] = torch.tensor(row.owner)
    return Packed(ids, positions, _bias(owner), tuple(row.starts for row in rows))


def on_axes(counted: Tensor, axes: Tensor | None) -> Tensor:
    """Counted positions (B, S), behind a prefix whose P tokens stand at (A, P) on A axes: (A, B, S).

    What follows the prefix goes on behind all of it. Without axes positions stay as they are counted.
    """
    if axes is None:
        return counted
    size = axes.shape[1]
    inside = axes[:, counted.clamp(max=size - 1)]
    return torch.where(counted < size, inside, axes.max() + 1 + counted - size)


_PADDING: Final = -1


@dataclass(frozen=True, slots=True)
class _Row:
    positions: list[int]
    owner: list[int]
    "0 for the prefix, else the block's number from 1."
    starts: tuple[int, ...]


def _row(prefix: int, blocks: Sequence[Sequence[int]]) -> _Row:
    lengths = [len(block) for block in blocks]
    starts = list(itertools.accumulate(lengths, initial=prefix))[:-1]
    return _Row(
        positions=[*range(prefix), *(prefix + k for length in lengths for k in range(length))],
        owner=[0] * prefix + [k for k, length in enumerate(lengths, start=1) for _ in range(length)],
        starts=tuple(starts),
    )


def _bias(owner: Tensor) -> Tensor:
    """From each token's owner (B, S) to who may see whom."""
    index = torch.arange(owner.shape[1])
    causal = index[None, :] <= index[:, None]
    related = (owner[:, None, :] == 0) | (owner[:, None, :] == owner[:, :, None])
    # Padding sees itself: a row without any column would be NaN.
    seen = causal & related
    bias = torch.zeros(seen.shape, dtype=torch.float32)
    return bias.masked_fill_(~seen, torch.finfo(torch.float32).min)[:, None]
