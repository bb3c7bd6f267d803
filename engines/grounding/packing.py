"""Many questions behind one picture: block-causal packing.

The prefix (the picture) is written once; every block (a question with its answer) sees the prefix and
itself, not its neighbours, and counts its positions as if it stood alone. So a packed block has the very
hidden states it would have alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A batch of pictures with K blocks each, blocks padded to one length L; S = P + K * L."""

    ids: Tensor
    "(B, S) int64."
    positions: Tensor
    "(B, S) int64."
    bias: Tensor
    "(B, 1, S, S) float32, 0 where row may see column, else the lowest float."
    prefix: int
    "P, tokens of the prefix."
    block: int
    "L, tokens of a padded block."

    def place(self, block: int, offset: int) -> int:
        """Index along S of a token of a block."""
        return self.prefix + block * self.block + offset


def pack(prefix: Sequence[int], pictures: Sequence[Sequence[Sequence[int]]]) -> Packed:
    """Pack `pictures[b][k]`, the ids of block k of picture b; every picture has the same number of
    blocks."""
    count, width = len(pictures[0]), max(len(block) for blocks in pictures for block in blocks)
    size = len(prefix) + count * width
    ids = torch.zeros(len(pictures), size, dtype=torch.int64)
    real = torch.zeros(len(pictures), size, dtype=torch.bool)
    ids[:, : len(prefix)] = torch.tensor(list(prefix))
    real[:, : len(prefix)] = True
    for row, blocks in enumerate(pictures):
        for index, block in enumerate(blocks):
            start = len(prefix) + index * width
            ids[row, start : start + len(block)] = torch.tensor(list(block))
            real[row, start : start + len(block)] = True
    positions = torch.cat([torch.arange(len(prefix)), (torch.arange(width) + len(prefix)).repeat(count)])
    owner = torch.cat([torch.zeros(len(prefix)), torch.arange(1, count + 1).repeat_interleave(width)])
    return Packed(
        ids=ids,
        positions=positions.expand(len(pictures), -1),
        bias=_bias(owner, real),
        prefix=len(prefix),
        block=width,
    )


def _bias(owner: Tensor, real: Tensor) -> Tensor:
    """`owner` (S,) is 0 for the prefix, else the block's number; `real` (B, S) is False on padding."""
    index = torch.arange(len(owner))
    causal = index[None, :] <= index[:, None]
    related = (owner[None, :] == 0) | (owner[None, :] == owner[:, None])
    # Padding sees itself: a row without any column would be NaN.
    seen = causal & related & (real[:, None, :] | torch.eye(len(owner), dtype=torch.bool))
    bias = torch.zeros(seen.shape, dtype=torch.float32)
    return bias.masked_fill_(~seen, torch.finfo(torch.float32).min)[:, None]
