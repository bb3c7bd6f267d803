"""Block-causal packing: many questions behind one image prefix in one prefill.

The prefix is written once. Every block (a question with its answer) attends to the prefix and to itself, not
to other blocks, and its position ids continue from the prefix. A packed block therefore has the same hidden
states as the block alone.
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
    """A batch of B rows with the same prefix and blocks of their own, padded to S tokens."""

    ids: Tensor
    "(B, S) int64."
    positions: Tensor
    "(B, S) int64."
    bias: Tensor
    "(B, 1, S, S) float32 attention bias: 0 where row may attend to column, else the lowest float."
    starts: tuple[tuple[int, ...], ...]
    "Index along S of the first token of every block, by row."

    def to(self, device: torch.device) -> Packed:
        """Copy the tensors to a device."""
        return Packed(self.ids.to(device), self.positions.to(device), self.bias.to(device), self.starts)


def pack(prefix: Sequence[int], rows: Sequence[Sequence[Sequence[int]]]) -> Packed:
    """Pack blocks behind a prefix: `rows[b][k]` are the ids of block k of row b."""
    layouts = [_layout(len(prefix), blocks) for blocks in rows]
    size = len(prefix) + max(sum(map(len, blocks)) for blocks in rows)
    ids = torch.zeros(len(rows), size, dtype=torch.int64)
    positions = torch.zeros(len(rows), size, dtype=torch.int64)
    owner = torch.full((len(rows), size), _PADDING)
    for index, (blocks, layout) in enumerate(zip(rows, layouts, strict=True)):
        tokens = [*prefix, *(token for block in blocks for token in block)]
        ids[index, : len(tokens)] = torch.tensor(tokens)
        positions[index, : len(tokens)] = torch.tensor(layout.positions)
        owner[index, : len(tokens)] = torch.tensor(layout.owner)
    return Packed(ids, positions, _bias(owner), tuple(layout.starts for layout in layouts))


def expand_positions(positions: Tensor, prefix_position_ids: Tensor | None) -> Tensor:
    """Expand positions (B, S) to A axes: (A, B, S), given the prefix's position ids (A, P).

    Tokens behind the prefix continue from the largest position of the prefix, on all axes alike. Without
    `prefix_position_ids` positions are returned unchanged.
    """
    if prefix_position_ids is None:
        return positions
    size = prefix_position_ids.shape[1]
    in_prefix = prefix_position_ids[:, positions.clamp(max=size - 1)]
    return torch.where(positions < size, in_prefix, prefix_position_ids.max() + 1 + positions - size)


_PADDING: Final = -1


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the tokens of one row stand."""

    positions: list[int]
    owner: list[int]
    "0 for the prefix, else the block's number from 1."
    starts: tuple[int, ...]


def _layout(prefix: int, blocks: Sequence[Sequence[int]]) -> _Layout:
    lengths = [len(block) for block in blocks]
    starts = list(itertools.accumulate(lengths, initial=prefix))[:-1]
    return _Layout(
        positions=[*range(prefix), *(prefix + k for length in lengths for k in range(length))],
        owner=[0] * prefix + [k for k, length in enumerate(lengths, start=1) for _ in range(length)],
        starts=tuple(starts),
    )


def _bias(owner: Tensor) -> Tensor:
    """Attention bias from each token's owner (B, S)."""
    index = torch.arange(owner.shape[1])
    causal = index[None, :] <= index[:, None]
    related = (owner[:, None, :] == 0) | (owner[:, None, :] == owner[:, :, None])
    # Padding attends to itself: softmax over a row without any column would be NaN.
    allowed = causal & related
    bias = torch.zeros(allowed.shape, dtype=torch.float32)
    return bias.masked_fill_(~allowed, torch.finfo(torch.float32).min)[:, None]
