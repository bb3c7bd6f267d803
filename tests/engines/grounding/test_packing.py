"""Laws of block-causal packing."""

from __future__ import annotations

import torch

from engines.grounding.packing import Packed, expand_positions, pack

PREFIX = [7, 8, 9]


def _attends(row: int, column: int, blocks: list[list[int]]) -> bool:
    return bool(pack(PREFIX, [blocks]).bias[0, 0, row, column] == 0)


def test_a_block_attends_to_the_prefix_and_itself_only() -> None:
    blocks = [[1, 2], [3, 4]]
    assert _attends(4, 0, blocks)
    assert _attends(4, 3, blocks)
    assert _attends(6, 1, blocks)
    assert _attends(6, 5, blocks)
    assert not _attends(6, 4, blocks)
    assert not _attends(5, 3, blocks)


def test_attention_is_causal() -> None:
    bias = pack(PREFIX, [[[1, 2], [3, 4]]]).bias[0, 0]
    assert bool((bias.triu(1) < 0).sum() == bias.triu(1).count_nonzero())
    assert bool((bias[torch.ones_like(bias, dtype=torch.bool).triu(1)] < -1e30).all())


def test_positions_of_every_block_continue_from_the_prefix() -> None:
    packed = pack(PREFIX, [[[1, 2], [3, 4]]])
    assert packed.positions[0].tolist() == [0, 1, 2, 3, 4, 3, 4]


def test_only_padding_attends_to_padding() -> None:
    packed = pack(PREFIX, [[[1], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]]])
    padding = packed.starts[0][1] + 3
    assert int(packed.ids.shape[1]) == padding + 2
    assert _columns_attended(packed, row=0, column=padding) == [padding, padding + 1]


def test_starts_are_the_first_tokens_of_blocks() -> None:
    packed = pack(PREFIX, [[[1, 2], [3, 4]], [[5, 6, 8], [7]]])
    assert packed.starts == ((3, 5), (3, 6))
    assert [int(packed.ids[1, start]) for start in packed.starts[1]] == [5, 7]


def test_rows_may_have_different_numbers_of_blocks() -> None:
    packed = pack(PREFIX, [[[1, 2]], [[5], [7], [8]]])
    assert packed.starts == ((3,), (3, 4, 5))


def _columns_attended(packed: Packed, row: int, column: int) -> list[int]:
    return [int(place) for place in packed.bias[row, 0, :, column].eq(0).nonzero().flatten()]


def test_expanded_positions_continue_after_the_largest_of_the_prefix() -> None:
    """A prefix of four tokens with an image of two rows, and two blocks behind it."""
    axes = torch.tensor([[0, 1, 1, 3], [0, 1, 2, 3]])
    places = expand_positions(torch.tensor([[0, 1, 2, 3, 4, 5, 4]]), axes)
    assert places[:, 0].tolist() == [[0, 1, 1, 3, 4, 5, 4], [0, 1, 2, 3, 4, 5, 4]]


def test_positions_without_axes_are_unchanged() -> None:
    counted = torch.tensor([[0, 1, 2]])
    assert expand_positions(counted, None) is counted
