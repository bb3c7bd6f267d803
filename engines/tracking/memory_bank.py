"""The memories of the objects of one stream, in arrays of fixed size.

Each object has a batch row. The rows in use are always the first ones, so that a batch is a view of the
arrays and costs no copy; when a row is freed, the last row in use moves into it. Slots of each row, with G
slots for conditioning memories:

    memory    slots 0..G-1   conditioning memories: mask prompts; the policy says which remain
              slots G..      ring buffer of memories of tracked frames
    obj_ptr   slots 0..G-1   object pointers of the conditioning memories
              slots G..      ring buffer of object pointers of tracked frames

Ages count remembered frames; under a policy that remembers every frame, frames.

A snapshot has the conditioning memories and the newest tracked one. Each of these is written into its slot
from an array that never changes afterwards, so that a snapshot refers to them and another thread may read
them: 0.1 to 0.3 ms of the tracking thread, whatever the model. The other tracked memories are left out: with
conditioning memories alone, or the newest as well, 92 % of the objects were followed on from snapshots 1 and
3 s old (J > 0.5; 12 drawn clips, nano).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engines.tracking.memory_policy import PRODUCT, TrackerPolicy
from engines.tracking.shape import EMPTY_SLOT, TrackerShape
from streaming.errors import InvalidMessage, LimitReached

Batch = tuple[
    NDArray[np.float32],
    NDArray[np.int64],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
]
"""memory, memory_age, memory_bias, obj_ptr, obj_ptr_age, obj_ptr_bias: inputs of `graphs.TrackStep`."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectMemory:
    """The memory of one object on one frame."""

    memory: NDArray[np.float32]
    "(n, D) float32, output of the memory encoder."
    obj_ptr: NDArray[np.float32]
    "(C,) float32, object pointer."


@dataclass(frozen=True, slots=True, eq=False)
class BankSnapshot:
    """The memories of a bank's rows in use at one moment. Its arrays never change."""

    memories: Mapping[tuple[int, int], NDArray[np.float32]]
    "By row and slot, (n, D) each: conditioning memories, and the newest tracked memory of a row."
    arrays: Mapping[str, NDArray[np.generic]]
    "The bank's other arrays by name, rows in use."

    @property
    def rows(self) -> int:
        """Rows in use."""
        return len(self.arrays["cond_count"])


@dataclass(slots=True)
class _RowMemories:
    """The immutable arrays that a row's slots were written from."""

    cond: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    "By slot."
    newest: tuple[int, NDArray[np.float32]] | None = None
    "Slot and array of the newest tracked memory."


class MemoryBank:
    """Memories of up to `capacity` objects; all buffers are allocated once."""

    def __init__(self, shape: TrackerShape, capacity: int, policy: TrackerPolicy = PRODUCT) -> None:
        self._shape = shape
        self._policy = policy
        self._max_obj_ptr_age = float(shape.recent_obj_ptrs) if policy.limit_obj_ptr_age else np.inf
        self.capacity = capacity
        rows, memories, obj_ptrs = capacity, shape.memories, shape.obj_ptrs
        self._memory = np.zeros((rows, memories, shape.memory_tokens, shape.memory_channels), np.float32)
        self._memory_age = np.zeros((rows, memories), np.int64)
        self._memory_bias = np.full((rows, memories), EMPTY_SLOT, np.float32)
        self._obj_ptr = np.zeros((rows, obj_ptrs, shape.channels), np.float32)
        self._obj_ptr_age = np.zeros((rows, obj_ptrs), np.float32)
        self._obj_ptr_bias = np.full((rows, obj_ptrs), EMPTY_SLOT, np.float32)
        self._recent_count = np.zeros(rows, np.int64)
        self._cond_count = np.zeros(rows, np.int64)
        self._row_memories = [_RowMemories() for _ in range(rows)]
        self.rows = 0
        self.writes = 0
        "Counts the changes of the bank."

    @property
    def full(self) -> bool:
        """Whether every row is in use."""
        return self.rows == self.capacity

    @property
    def nbytes(self) -> int:
        """Size of all buffers in bytes; constant."""
        return sum(array.nbytes for array in self._arrays().values())

    def batch(self) -> Batch:
        """Return views of the rows in use, valid until the bank changes."""
        used = slice(0, self.rows)
        return (
            self._memory[used],
            self._memory_age[used],
            self._memory_bias[used],
            self._obj_ptr[used],
            self._obj_ptr_age[used],
            self._obj_ptr_bias[used],
        )

    def add(self) -> int:
        """Take an empty row and return its number, valid until the next `remove`. The bank must not be
        full."""
        assert not self.full
        row = self.rows
        self.rows += 1
        self.clear(row)
        return row

    def remove(self, row: int) -> int | None:
        """Free a row. Returns the former number of the row that moved into its place, or None."""
        last = self.rows - 1
        self.rows = last
        self.writes += 1
        moved, self._row_memories[last] = self._row_memories[last], _RowMemories()
        if row == last:
            return None
        self._row_memories[row] = moved
        for array in self._arrays().values():
            array[row] = array[last]
        return last

    def clear(self, row: int) -> None:
        """Empty all slots of a row. The caller must write a conditioning memory before the next batch."""
        self._memory_bias[row] = EMPTY_SLOT
        self._obj_ptr_bias[row] = EMPTY_SLOT
        self._memory_age[row] = 0
        self._obj_ptr_age[row] = 0
        self._recent_count[row] = 0
        self._cond_count[row] = 0
        self._row_memories[row] = _RowMemories()
        self.writes += 1

    def write_cond(self, row: int, entry: ObjectMemory, age: int) -> None:
        """Write a conditioning memory into the next slot, overwriting an older one where all are taken.

        age: tracked frames since the entry's frame, 0 for the frame just tracked.
        """
        slot = self._cond_slot(int(self._cond_count[row]))
        if self._policy.cond_replaces_recent:
            self._hide_recent(row, age + 1)
        memory = self._stored(entry.memory)
        self._memory[row, slot] = self._row_memories[row].cond[slot] = memory
        self._memory_bias[row, slot] = 0
        self._obj_ptr[row, slot] = entry.obj_ptr
        self._obj_ptr_age[row, slot] = min(age + 1, self._max_obj_ptr_age)
        self._obj_ptr_bias[row, slot] = 0
        self._cond_count[row] += 1
        self.writes += 1

    def _cond_slot(self, count: int) -> int:
        """Return the slot of the next conditioning memory after `count` of them."""
        slots = self._shape.cond_memories
        if count < slots or not self._policy.keep_first_cond:
            return count % slots
        return 1 + (count - 1) % (slots - 1)

    def _hide_recent(self, row: int, age: int) -> None:
        """Empty the slots of the tracked frame of that age."""
        first = self._shape.cond_memories
        for ages, bias in (
            (self._memory_age[row, first:], self._memory_bias[row, first:]),
            (self._obj_ptr_age[row, first:], self._obj_ptr_bias[row, first:]),
        ):
            bias[ages == age] = EMPTY_SLOT

    def write_recent(
        self, memory: NDArray[np.float32], obj_ptr: NDArray[np.float32], selected: NDArray[np.bool_]
    ) -> None:
        """Write the memories of the frame just tracked into the ring buffers of the selected rows.

        memory (rows, n, D), obj_ptr (rows, C), selected (rows,). Entries of the selected rows age by one;
        rows that are not selected do not change.
        """
        rows, first = np.flatnonzero(selected), self._shape.cond_memories
        self._obj_ptr_age[rows] = np.minimum(self._obj_ptr_age[rows] + 1, self._max_obj_ptr_age)
        ages = self._memory_age[rows, first:] + 1
        self._memory_age[rows, first:] = np.minimum(ages, self._shape.recent_memories)
        memory_slot = first + self._recent_count[rows] % self._shape.recent_memories
        obj_ptr_slot = first + self._recent_count[rows] % self._shape.recent_obj_ptrs
        for row, slot in zip(rows.tolist(), memory_slot.tolist(), strict=True):
            stored = self._stored(memory[row])
            self._memory[row, slot] = stored
            self._row_memories[row].newest = slot, stored
        self._memory_age[rows, memory_slot] = 1
        self._memory_bias[rows, memory_slot] = 0
        self._obj_ptr[rows, obj_ptr_slot] = obj_ptr[rows]
        self._obj_ptr_age[rows, obj_ptr_slot] = 1
        self._obj_ptr_bias[rows, obj_ptr_slot] = 0
        self._recent_count[rows] += 1
        self.writes += 1

    def _stored(self, memory: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a memory as it is stored, in a new array: the encoder's buffer is used again."""
        return round_to_bfloat16(memory) if self._policy.bfloat16_memories else memory.copy()

    def snapshot(self) -> BankSnapshot:
        """Return the rows in use. Copies the small arrays only: 20 KiB an object of SAM 2.1."""
        memories: dict[tuple[int, int], NDArray[np.float32]] = {}
        for row, own in enumerate(self._row_memories[: self.rows]):
            memories |= {(row, slot): memory for slot, memory in own.cond.items()}
            if own.newest is not None and self._memory_bias[row, own.newest[0]] == 0:
                memories[row, own.newest[0]] = own.newest[1]
        small = {
            name: array[: self.rows].copy() for name, array in self._arrays().items() if name != "memory"
        }
        return BankSnapshot(memories, small)

    def restore(self, snapshot: BankSnapshot) -> None:
        """Replace all content by the snapshot of a bank of this shape; slots without a memory become empty.

        Raises InvalidMessage where names, shapes, dtypes or places differ or a row has no memory,
        LimitReached where rows are missing.
        """
        self._check(snapshot)
        rows = snapshot.rows
        for name, array in self._arrays().items():
            if name != "memory":
                array[:rows] = snapshot.arrays[name]
        self._memory_bias[:rows] = EMPTY_SLOT
        self._row_memories = [_RowMemories() for _ in range(self.capacity)]
        for (row, slot), memory in snapshot.memories.items():
            self._memory[row, slot] = memory
            self._memory_bias[row, slot] = 0
            if slot < self._shape.cond_memories:
                self._row_memories[row].cond[slot] = memory
            else:
                self._row_memories[row].newest = slot, memory
        self.rows = rows
        self.writes += 1

    def _check(self, snapshot: BankSnapshot) -> None:
        """Raises as `restore`."""
        own = {name: array for name, array in self._arrays().items() if name != "memory"}
        if snapshot.arrays.keys() != own.keys():
            raise InvalidMessage(
                f"A memory bank has {', '.join(own)}; the snapshot has {', '.join(snapshot.arrays)}."
            )
        rows = snapshot.rows
        wanted = [
            (name, snapshot.arrays[name], array, (rows, *array.shape[1:])) for name, array in own.items()
        ]
        wanted += [
            ("memory", one, self._memory, self._memory.shape[2:]) for one in snapshot.memories.values()
        ]
        for name, found, array, shape in wanted:
            if found.shape != shape or found.dtype != array.dtype:
                raise InvalidMessage(
                    f"The snapshot's {name} is {found.dtype} {found.shape}, not {array.dtype} {shape}."
                )
        if rows > self.capacity:
            raise LimitReached(
                f"A snapshot of {rows} objects does not fit into {self.capacity} rows.",
                remedy="Give the tracker a larger capacity.",
            )
        slots = range(self._shape.memories)
        if not all(0 <= row < rows and slot in slots for row, slot in snapshot.memories):
            raise InvalidMessage("The snapshot has a memory outside of its rows and slots.")
        if {row for row, _ in snapshot.memories} != set(range(rows)):
            raise InvalidMessage("The snapshot has a row without a memory.")

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "memory": self._memory,
            "memory_age": self._memory_age,
            "memory_bias": self._memory_bias,
            "obj_ptr": self._obj_ptr,
            "obj_ptr_age": self._obj_ptr_age,
            "obj_ptr_bias": self._obj_ptr_bias,
            "recent_count": self._recent_count,
            "cond_count": self._cond_count,
        }


def round_to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the nearest bfloat16 values, ties to even, as float32. Values must be finite."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)
