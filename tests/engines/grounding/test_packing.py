"""Laws of many questions behind one picture."""

from __future__ import annotations

import torch

from engines.grounding.packing import Packed, on_axes, pack

PREFIX = [7, 8, 9]


def _sees(row: int, column: int, blocks: list[list[int]]) -> bool:
    return bool(pack(PREFIX, [blocks]).bias[0, 0, row, column] == 0)


def test_a_block_sees_the_prefix_and_itself_but_no_neighbour() -> None:
    blocks = [[1, 2], [3, 4]]
    assert _sees(4, 0, blocks)
    assert _sees(4, 3, blocks)
    assert _sees(6, 1, blocks)
    assert _sees(6, 5, blocks)
    assert not _sees(6, 4, blocks)
    assert not _sees(5, 3, blocks)


def test_nothing_sees_what_comes_after() -> None:
    bias = pack(PREFIX, [[[1, 2], [3, 4]]]).bias[0, 0]
    assert bool((bias.triu(1) < 0).sum() == bias.triu(1).count_nonzero())
    assert bool((bias[torch.ones_like(bias, dtype=torch.bool).triu(1)] < -1e30).all())


def test_every_block_counts_positions_from_the_prefix() -> None:
    packed = pack(PREFIX, [[[1, 2], [3, 4]]])
    assert packed.positions[0].tolist() == [0, 1, 2, 3, 4, 3, 4]


def test_padding_is_seen_by_padding_alone() -> None:
    packed = pack(PREFIX, [[[1], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]]])
    padding = packed.starts[0][1] + 3
    assert int(packed.ids.shape[1]) == padding + 2
    assert _who_sees(packed, row=0, column=padding) == [padding, padding + 1]


def test_a_start_leads_to_the_first_token_of_its_block() -> None:
    packed = pack(PREFIX, [[[1, 2], [3, 4]], [[5, 6, 8], [7]]])
    assert packed.starts == ((3, 5), (3, 6))
    assert [int(packed.ids[1, start]) for start in packed.starts[1]] == [5, 7]


def test_pictures_may_have_different_numbers_of_blocks() -> None:
    packed = pack(PREFIX, [[[1, 2]], [[5], [7], [8]]])
    assert packed.starts == ((3,), (3, 4, 5))


def _who_sees(packed: Packed, row: int, column: int) -> list[int]:
    return [int(place) for place in packed.bias[row, 0, :, column].eq(0).nonzero().flatten()]


def test_positions_on_axes_go_on_behind_the_farthest() -> None:
    """A prefix of four tokens whose picture spreads over two rows, and two blocks behind it."""
    axes = torch.tensor([[0, 1, 1, 3], [0, 1, 2, 3]])
    places = on_axes(torch.tensor([[0, 1, 2, 3, 4, 5, 4]]), axes)
    assert places[:, 0].tolist() == [[0, 1, 1, 3, 4, 5, 4], [0, 1, 2, 3, 4, 5, 4]]


def test_without_axes_positions_are_counted() -> None:
    counted = torch.tensor([[0, 1, 2]])
    assert on_axes(counted, None) is counted
