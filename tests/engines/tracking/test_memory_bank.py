"""The memory bank: rows, slots, ages, and a size that never changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engines.tracking.memory_bank import Memory, MemoryBank, to_half_precision
from engines.tracking.memory_policy import AS_SAM2, PRODUCT
from engines.tracking.shape import EMPTY_SLOT, TrackerShape
from streaming.errors import InvalidMessage, LimitReached

SHAPE = TrackerShape(
    side_px=32, map_px=2, places=4, channels=8, memory_channels=4, recent_memories=2, recent_pointers=3
)


def memory_of(value: float) -> Memory:
    return Memory(np.full((SHAPE.places, 4), value, np.float32), np.full(8, value, np.float32))


def remember(bank: MemoryBank, value: float, written: list[bool] | None = None) -> None:
    one = memory_of(value)
    keep = np.array(written if written is not None else [True] * bank.rows)
    bank.remember(np.repeat(one.memory[None], bank.rows, 0), np.repeat(one.pointer[None], bank.rows, 0), keep)


def recent(bank: MemoryBank, row: int) -> dict[int, float]:
    """Values of the tracked memories of a row by their age."""
    memory, age, bias, *_ = bank.batch()
    slots = [slot for slot in range(SHAPE.given_memories, SHAPE.memories) if bias[row, slot] == 0]
    return {int(age[row, slot]): float(memory[row, slot, 0, 0]) for slot in slots}


def test_an_empty_row_hides_every_slot() -> None:
    bank = MemoryBank(SHAPE, 2)
    bank.add()
    _, _, bias, _, _, pointer_bias = bank.batch()
    assert (bias == EMPTY_SLOT).all() and (pointer_bias == EMPTY_SLOT).all()


def test_the_ring_holds_the_last_frames_with_their_ages() -> None:
    bank = MemoryBank(SHAPE, 1)
    bank.add()
    for value in range(1, 6):
        remember(bank, value)
        expected = {age: value + 1.0 - age for age in (1, 2) if age <= value}
        assert recent(bank, 0) == expected


def test_the_first_given_mask_stays_and_the_last_replaces_the_one_before() -> None:
    bank = MemoryBank(SHAPE, 1)
    row = bank.add()
    for value in (1.0, 2.0, 3.0):
        bank.give(row, memory_of(value), age=0)
    memory, age, bias, pointer, *_ = bank.batch()
    slots = slice(0, SHAPE.given_memories)
    assert memory[0, slots, 0, 0].tolist() == pointer[0, slots, 0].tolist() == [1.0, 3.0]
    assert not age[0, slots].any() and not bias[0, slots].any()


def test_a_given_pointer_ages_no_further_than_the_model_knows() -> None:
    bank = MemoryBank(SHAPE, 1)
    bank.give(bank.add(), memory_of(1.0), age=1)
    assert bank.batch()[4][0, 0] == 2.0
    for _ in range(50):
        remember(bank, 0.0)
    assert bank.batch()[4][0, 0] == SHAPE.recent_pointers
    assert bank.batch()[1].max() <= SHAPE.recent_memories


def test_a_row_that_is_not_written_keeps_what_it_had_at_the_age_it_had() -> None:
    bank = MemoryBank(SHAPE, 2)
    bank.give(bank.add(), memory_of(9.0), age=0)
    bank.give(bank.add(), memory_of(9.0), age=0)
    remember(bank, 1.0)
    before = [array[1].copy() for array in bank.batch()]
    remember(bank, 2.0, [True, False])
    assert recent(bank, 0) == {1: 2.0, 2: 1.0} and recent(bank, 1) == {1: 1.0}
    assert all(np.array_equal(one, array[1]) for one, array in zip(before, bank.batch(), strict=True))


def test_the_last_row_moves_into_a_hole() -> None:
    bank = MemoryBank(SHAPE, 3)
    for value in (1.0, 2.0, 3.0):
        bank.give(bank.add(), memory_of(value), age=0)
    assert bank.remove(0) == 2
    assert list(bank.batch()[0][:, 0, 0, 0]) == [3.0, 2.0]
    assert bank.remove(1) is None and bank.rows == 1


def test_a_row_taken_again_knows_nothing_of_the_one_before() -> None:
    bank = MemoryBank(SHAPE, 1)
    bank.give(bank.add(), memory_of(1.0), age=0)
    remember(bank, 1.0)
    bank.remove(0)
    bank.add()
    assert (bank.batch()[2] == EMPTY_SLOT).all() and (bank.batch()[5] == EMPTY_SLOT).all()


def test_a_forgotten_row_remembers_only_what_it_is_given_next() -> None:
    bank = MemoryBank(SHAPE, 2)
    bank.add()
    row = bank.add()
    bank.give(row, memory_of(1.0), age=0)
    remember(bank, 2.0)
    bank.forget(row)
    bank.give(row, memory_of(3.0), age=0)
    memory, _, bias, _, _, pointer_bias = bank.batch()
    assert memory[row, 0, 0, 0] == 3.0
    assert [int(slot) for slot in np.flatnonzero(bias[row] == 0)] == [0]
    assert [int(slot) for slot in np.flatnonzero(pointer_bias[row] == 0)] == [0]
    assert recent(bank, 0) == {1: 2.0}, "its neighbour forgets nothing"


def test_three_places_keep_the_first_given_mask_and_the_last_two() -> None:
    shape = replace(SHAPE, given_memories=3)
    kept = []
    for policy in (PRODUCT, AS_SAM2):
        bank = MemoryBank(shape, 1, policy)
        row = bank.add()
        for value in (1.0, 2.0, 3.0, 4.0, 5.0):
            bank.give(row, memory_of(value), age=0)
        kept.append(sorted(bank.batch()[0][0, :3, 0, 0].tolist()))
    assert kept == [[1.0, 4.0, 5.0], [3.0, 4.0, 5.0]], "SAM-2's nearest are the last"


def test_by_sam2s_rules_a_given_pointer_grows_old_without_end() -> None:
    bank = MemoryBank(SHAPE, 1, AS_SAM2)
    bank.give(bank.add(), memory_of(1.0), age=0)
    for _ in range(50):
        remember(bank, 0.0)
    assert bank.batch()[4][0, 0] == 51


def test_by_sam2s_rules_a_given_mask_takes_the_place_of_what_was_tracked_there() -> None:
    bank = MemoryBank(SHAPE, 1, AS_SAM2)
    bank.give(bank.add(), memory_of(9.0), age=0)
    remember(bank, 1.0)
    remember(bank, 2.0)
    bank.give(0, memory_of(8.0), age=1)  # on the frame before the last
    assert recent(bank, 0) == {1: 2.0}
    pointers = bank.batch()[5][0, SHAPE.given_memories :]
    assert (pointers == 0).sum() == 1
    remember(bank, 3.0)
    assert recent(bank, 0) == {1: 3.0, 2: 2.0}, "the others are as old as they are"


def test_half_precision_is_bfloat16() -> None:
    values = np.random.default_rng(0).normal(size=4096).astype(np.float32) * 100
    expected = torch.from_numpy(values).bfloat16().float().numpy()
    assert np.array_equal(to_half_precision(values), expected)


def test_what_is_exported_is_restored_whole() -> None:
    bank, other = MemoryBank(SHAPE, 3), MemoryBank(SHAPE, 2)
    for value in (1.0, 2.0):
        bank.give(bank.add(), memory_of(value), age=0)
    remember(bank, 5.0, [True, False])
    other.restore(bank.export())
    for _ in range(3):  # the rings go on where they stood
        remember(bank, 6.0)
        remember(other, 6.0)
    assert other.rows == 2
    assert all(np.array_equal(one, two) for one, two in zip(bank.batch(), other.batch(), strict=True))


def test_what_does_not_fit_is_not_restored() -> None:
    bank = MemoryBank(SHAPE, 3)
    for _ in range(3):
        bank.give(bank.add(), memory_of(1.0), age=0)
    said = bank.export()
    with pytest.raises(LimitReached, match="3 objects does not fit into 2"):
        MemoryBank(SHAPE, 2).restore(said)
    with pytest.raises(InvalidMessage, match="pointer is float32"):
        MemoryBank(replace(SHAPE, channels=16), 3).restore(said)
    with pytest.raises(InvalidMessage, match="A memory has"):
        MemoryBank(SHAPE, 3).restore({"memory": said["memory"]})


def test_a_batch_is_a_view_of_the_bank() -> None:
    bank = MemoryBank(SHAPE, 4)
    bank.add(), bank.add()
    batch = bank.batch()
    assert all(array.flags.c_contiguous and array.base is not None and len(array) == 2 for array in batch)


def test_bytes_stay_the_same_whatever_comes_and_goes() -> None:
    bank = MemoryBank(SHAPE, 3)
    size, rng = bank.nbytes, np.random.default_rng(0)
    for _ in range(500):
        if not bank.full and rng.random() < 0.4:
            bank.give(bank.add(), memory_of(1.0), age=3)
        if bank.rows and rng.random() < 0.4:
            bank.remove(int(rng.integers(bank.rows)))
        if bank.rows:
            remember(bank, rng.random())
        assert bank.nbytes == size
