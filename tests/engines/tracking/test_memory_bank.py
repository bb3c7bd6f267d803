"""The memory bank: batch rows, slots, ages, and a constant size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engines.tracking.memory_bank import MemoryBank, ObjectMemory, round_to_bfloat16
from engines.tracking.memory_policy import AS_SAM2, PRODUCT
from engines.tracking.shape import EMPTY_SLOT, TrackerShape
from streaming.errors import InvalidMessage, LimitReached

SHAPE = TrackerShape(
    side_px=32,
    feature_px=2,
    memory_tokens=4,
    channels=8,
    memory_channels=4,
    recent_memories=2,
    recent_obj_ptrs=3,
)


def memory_of(value: float) -> ObjectMemory:
    return ObjectMemory(np.full((SHAPE.memory_tokens, 4), value, np.float32), np.full(8, value, np.float32))


def write_recent(bank: MemoryBank, value: float, selected: list[bool] | None = None) -> None:
    one = memory_of(value)
    rows = np.array(selected if selected is not None else [True] * bank.rows)
    bank.write_recent(
        np.repeat(one.memory[None], bank.rows, 0), np.repeat(one.obj_ptr[None], bank.rows, 0), rows
    )


def recent(bank: MemoryBank, row: int) -> dict[int, float]:
    """Values of the tracked memories of a row by their age."""
    memory, age, bias, *_ = bank.batch()
    slots = [slot for slot in range(SHAPE.cond_memories, SHAPE.memories) if bias[row, slot] == 0]
    return {int(age[row, slot]): float(memory[row, slot, 0, 0]) for slot in slots}


def test_every_slot_of_a_new_row_is_masked() -> None:
    bank = MemoryBank(SHAPE, 2)
    bank.add()
    _, _, bias, _, _, obj_ptr_bias = bank.batch()
    assert (bias == EMPTY_SLOT).all() and (obj_ptr_bias == EMPTY_SLOT).all()


def test_the_ring_buffer_holds_the_last_frames_with_their_ages() -> None:
    bank = MemoryBank(SHAPE, 1)
    bank.add()
    for value in range(1, 6):
        write_recent(bank, value)
        expected = {age: value + 1.0 - age for age in (1, 2) if age <= value}
        assert recent(bank, 0) == expected


def test_the_first_conditioning_memory_stays_and_the_last_replaces_the_one_before() -> None:
    bank = MemoryBank(SHAPE, 1)
    row = bank.add()
    for value in (1.0, 2.0, 3.0):
        bank.write_cond(row, memory_of(value), age=0)
    memory, age, bias, obj_ptr, *_ = bank.batch()
    slots = slice(0, SHAPE.cond_memories)
    assert memory[0, slots, 0, 0].tolist() == obj_ptr[0, slots, 0].tolist() == [1.0, 3.0]
    assert not age[0, slots].any() and not bias[0, slots].any()


def test_the_age_of_a_conditioning_pointer_stops_at_the_highest_age_of_training() -> None:
    bank = MemoryBank(SHAPE, 1)
    bank.write_cond(bank.add(), memory_of(1.0), age=1)
    assert bank.batch()[4][0, 0] == 2.0
    for _ in range(50):
        write_recent(bank, 0.0)
    assert bank.batch()[4][0, 0] == SHAPE.recent_obj_ptrs
    assert bank.batch()[1].max() <= SHAPE.recent_memories


def test_a_row_that_is_not_selected_does_not_change() -> None:
    bank = MemoryBank(SHAPE, 2)
    bank.write_cond(bank.add(), memory_of(9.0), age=0)
    bank.write_cond(bank.add(), memory_of(9.0), age=0)
    write_recent(bank, 1.0)
    before = [array[1].copy() for array in bank.batch()]
    write_recent(bank, 2.0, [True, False])
    assert recent(bank, 0) == {1: 2.0, 2: 1.0} and recent(bank, 1) == {1: 1.0}
    assert all(np.array_equal(one, array[1]) for one, array in zip(before, bank.batch(), strict=True))


def test_the_last_row_moves_into_a_freed_row() -> None:
    bank = MemoryBank(SHAPE, 3)
    for value in (1.0, 2.0, 3.0):
        bank.write_cond(bank.add(), memory_of(value), age=0)
    assert bank.remove(0) == 2
    assert list(bank.batch()[0][:, 0, 0, 0]) == [3.0, 2.0]
    assert bank.remove(1) is None and bank.rows == 1


def test_a_reused_row_has_no_memories_of_the_object_before() -> None:
    bank = MemoryBank(SHAPE, 1)
    bank.write_cond(bank.add(), memory_of(1.0), age=0)
    write_recent(bank, 1.0)
    bank.remove(0)
    bank.add()
    assert (bank.batch()[2] == EMPTY_SLOT).all() and (bank.batch()[5] == EMPTY_SLOT).all()


def test_a_cleared_row_holds_only_the_next_conditioning_memory() -> None:
    bank = MemoryBank(SHAPE, 2)
    bank.add()
    row = bank.add()
    bank.write_cond(row, memory_of(1.0), age=0)
    write_recent(bank, 2.0)
    bank.clear(row)
    bank.write_cond(row, memory_of(3.0), age=0)
    memory, _, bias, _, _, obj_ptr_bias = bank.batch()
    assert memory[row, 0, 0, 0] == 3.0
    assert [int(slot) for slot in np.flatnonzero(bias[row] == 0)] == [0]
    assert [int(slot) for slot in np.flatnonzero(obj_ptr_bias[row] == 0)] == [0]
    assert recent(bank, 0) == {1: 2.0}, "the other row does not change"


def test_three_slots_hold_the_first_and_the_last_two_conditioning_memories() -> None:
    shape = replace(SHAPE, cond_memories=3)
    stored = []
    for policy in (PRODUCT, AS_SAM2):
        bank = MemoryBank(shape, 1, policy)
        row = bank.add()
        for value in (1.0, 2.0, 3.0, 4.0, 5.0):
            bank.write_cond(row, memory_of(value), age=0)
        stored.append(sorted(bank.batch()[0][0, :3, 0, 0].tolist()))
    assert stored == [[1.0, 4.0, 5.0], [3.0, 4.0, 5.0]], "SAM-2 keeps the last three"


def test_under_sam2s_policy_the_age_of_a_conditioning_pointer_is_unlimited() -> None:
    bank = MemoryBank(SHAPE, 1, AS_SAM2)
    bank.write_cond(bank.add(), memory_of(1.0), age=0)
    for _ in range(50):
        write_recent(bank, 0.0)
    assert bank.batch()[4][0, 0] == 51


def test_under_sam2s_policy_a_conditioning_memory_replaces_the_tracked_memory_of_its_frame() -> None:
    bank = MemoryBank(SHAPE, 1, AS_SAM2)
    bank.write_cond(bank.add(), memory_of(9.0), age=0)
    write_recent(bank, 1.0)
    write_recent(bank, 2.0)
    bank.write_cond(0, memory_of(8.0), age=1)  # on the frame before the last
    assert recent(bank, 0) == {1: 2.0}
    obj_ptrs = bank.batch()[5][0, SHAPE.cond_memories :]
    assert (obj_ptrs == 0).sum() == 1
    write_recent(bank, 3.0)
    assert recent(bank, 0) == {1: 3.0, 2: 2.0}, "the ages of the others are unchanged"


def test_rounding_is_that_of_torchs_bfloat16() -> None:
    values = np.random.default_rng(0).normal(size=4096).astype(np.float32) * 100
    expected = torch.from_numpy(values).bfloat16().float().numpy()
    assert np.array_equal(round_to_bfloat16(values), expected)


def test_a_restored_bank_has_the_conditioning_memories_and_the_newest_tracked_one() -> None:
    bank, other = MemoryBank(SHAPE, 3), MemoryBank(SHAPE, 2)
    for value in (1.0, 2.0):
        bank.write_cond(bank.add(), memory_of(value), age=0)
    write_recent(bank, 4.0)
    write_recent(bank, 5.0, [True, False])
    other.restore(bank.snapshot())
    assert other.rows == 2
    assert [recent(other, row) for row in (0, 1)] == [{1: 5.0}, {1: 4.0}], "of row 0 the older is left out"
    assert other.batch()[0][:, 0, 0, 0].tolist() == [1.0, 2.0]
    assert all(np.array_equal(one, two) for one, two in zip(bank.batch()[3:], other.batch()[3:], strict=True))
    for _ in range(SHAPE.recent_memories):  # the ring buffers continue at the same slot
        write_recent(bank, 6.0)
        write_recent(other, 6.0)
    assert all(np.array_equal(one, two) for one, two in zip(bank.batch(), other.batch(), strict=True))


def test_a_snapshot_of_a_restored_bank_is_the_same() -> None:
    bank, other = MemoryBank(SHAPE, 3), MemoryBank(SHAPE, 3)
    bank.write_cond(bank.add(), memory_of(1.0), age=0)
    write_recent(bank, 5.0)
    other.restore(bank.snapshot())
    before, after = bank.snapshot(), other.snapshot()
    assert before.memories.keys() == after.memories.keys() == {(0, 0), (0, 2)}
    assert all(np.array_equal(before.memories[key], after.memories[key]) for key in before.memories)


def test_a_snapshot_does_not_change_with_the_bank() -> None:
    bank = MemoryBank(SHAPE, 2)
    bank.write_cond(bank.add(), memory_of(1.0), age=0)
    bank.write_cond(bank.add(), memory_of(2.0), age=0)
    write_recent(bank, 3.0)
    snapshot = bank.snapshot()
    values = {key: memory.copy() for key, memory in snapshot.memories.items()}
    arrays = {name: array.copy() for name, array in snapshot.arrays.items()}
    for value in (7.0, 8.0, 9.0):
        bank.write_cond(1, memory_of(value), age=0)
        write_recent(bank, value)
    bank.remove(0)
    bank.write_cond(bank.add(), memory_of(6.0), age=0)
    assert all(np.array_equal(values[key], snapshot.memories[key]) for key in values)
    assert all(np.array_equal(arrays[name], snapshot.arrays[name]) for name in arrays)


def test_a_snapshot_keeps_no_buffer_of_the_encoder() -> None:
    bank = MemoryBank(SHAPE, 1)
    buffer = np.ones((1, SHAPE.memory_tokens, 4), np.float32)
    bank.write_cond(bank.add(), ObjectMemory(buffer[0], np.ones(8, np.float32)), age=0)
    bank.write_recent(buffer, np.ones((1, 8), np.float32), np.array([True]))
    assert not any(np.shares_memory(memory, buffer) for memory in bank.snapshot().memories.values())


def test_the_snapshot_of_a_moved_row_has_its_memories() -> None:
    bank = MemoryBank(SHAPE, 3)
    for value in (1.0, 2.0, 3.0):
        bank.write_cond(bank.add(), memory_of(value), age=0)
    bank.remove(0)
    memories = bank.snapshot().memories
    assert {key: memory[0, 0] for key, memory in memories.items()} == {(0, 0): 3.0, (1, 0): 2.0}


def test_every_change_of_the_bank_is_counted() -> None:
    bank = MemoryBank(SHAPE, 2)
    counts = [bank.writes]
    for change in (
        bank.add,
        lambda: bank.write_cond(0, memory_of(1.0), age=0),
        lambda: write_recent(bank, 2.0),
    ):
        change()
        counts.append(bank.writes)
    bank.remove(0)
    assert len({*counts, bank.writes}) == 5


def test_a_snapshot_of_another_shape_or_too_many_rows_is_refused() -> None:
    bank = MemoryBank(SHAPE, 3)
    for _ in range(3):
        bank.write_cond(bank.add(), memory_of(1.0), age=0)
    snapshot = bank.snapshot()
    (memory,) = {id(one): one for key, one in snapshot.memories.items() if key == (0, 0)}.values()
    some = {name: array for name, array in snapshot.arrays.items() if name != "obj_ptr"}
    other = MemoryBank(SHAPE, 3)
    with pytest.raises(LimitReached, match="3 objects does not fit into 2"):
        MemoryBank(SHAPE, 2).restore(snapshot)
    with pytest.raises(InvalidMessage, match="obj_ptr is float32"):
        MemoryBank(replace(SHAPE, channels=16), 3).restore(snapshot)
    with pytest.raises(InvalidMessage, match="memory is float32"):
        MemoryBank(replace(SHAPE, memory_tokens=9), 3).restore(snapshot)
    with pytest.raises(InvalidMessage, match="A memory bank has"):
        other.restore(replace(snapshot, arrays=some))
    with pytest.raises(InvalidMessage, match="row without a memory"):
        other.restore(replace(snapshot, memories={(0, 0): memory}))
    with pytest.raises(InvalidMessage, match="outside"):
        other.restore(replace(snapshot, memories=snapshot.memories | {(0, 9): memory}))
    assert other.rows == 0


def test_a_batch_is_a_view_of_the_bank() -> None:
    bank = MemoryBank(SHAPE, 4)
    bank.add(), bank.add()
    batch = bank.batch()
    assert all(array.flags.c_contiguous and array.base is not None and len(array) == 2 for array in batch)


def test_the_size_is_constant_while_rows_come_and_go() -> None:
    bank = MemoryBank(SHAPE, 3)
    size, rng = bank.nbytes, np.random.default_rng(0)
    for _ in range(500):
        if not bank.full and rng.random() < 0.4:
            bank.write_cond(bank.add(), memory_of(1.0), age=3)
        if bank.rows and rng.random() < 0.4:
            bank.remove(int(rng.integers(bank.rows)))
        if bank.rows:
            write_recent(bank, rng.random())
        assert bank.nbytes == size
