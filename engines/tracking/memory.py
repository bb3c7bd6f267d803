"""What a tracker remembers of the objects of one stream: arrays of fixed size, nothing else.

A row is one object. Rows in use are the first ones, always, so that a batch is a view of the
arrays and costs no copy; when a row in the middle is freed the last one moves into it. In each row:

    memory    slots 0..1   conditioning memories: the first given mask and the last one
              slots 2..    a ring of the last tracked frames
    pointer   slots 0..1   pointers of the conditioning masks
              slots 2..    a ring of the last tracked frames

Ages are in frames written. SAM-2 lets the age of a conditioning pointer grow with the video; here it stops at
the longest age it was trained on, or an endless stream would leave what the model knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.tracking.compiled import EMPTY_SLOT, GIVEN_SLOTS, TrackerShape

Batch = tuple[
    NDArray[np.float32],
    NDArray[np.int64],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
    NDArray[np.float32],
]
"""memory, memory_age, memory_bias, pointer, pointer_age, pointer_bias, as `graphs.TrackStep` takes them."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What one frame left behind for one object."""

    memory: NDArray[np.float32]
    "(n, D) float32"
    pointer: NDArray[np.float32]
    "(C,) float32"


class MemoryBank:
    """Rows of memories; capacity is fixed when it is made."""

    def __init__(self, shape: TrackerShape, capacity: int) -> None:
        self._shape = shape
        self.capacity = capacity
        rows, memories, pointers = capacity, shape.memories, shape.pointers
        self._memory = np.zeros((rows, memories, shape.places, shape.memory_channels), np.float32)
        self._memory_age = np.zeros((rows, memories), np.int64)
        self._memory_bias = np.full((rows, memories), EMPTY_SLOT, np.float32)
        self._pointer = np.zeros((rows, pointers, shape.channels), np.float32)
        self._pointer_age = np.zeros((rows, pointers), np.float32)
        self._pointer_bias = np.full((rows, pointers), EMPTY_SLOT, np.float32)
        self._written = np.zeros(rows, np.int64)
        self.rows = 0

    @property
    def full(self) -> bool:
        """Whether no further object fits."""
        return self.rows == self.capacity

    @property
    def nbytes(self) -> int:
        """Size of all buffers; never changes."""
        return sum(array.nbytes for array in self._arrays())

    def batch(self) -> Batch:
        """Views of the rows in use; valid until the bank is changed."""
        live = slice(0, self.rows)
        return (
            self._memory[live],
            self._memory_age[live],
            self._memory_bias[live],
            self._pointer[live],
            self._pointer_age[live],
            self._pointer_bias[live],
        )

    def add(self) -> int:
        """Take an empty row; its number is good until the next `remove`. The bank must not be full."""
        assert not self.full
        row = self.rows
        self.rows += 1
        self.forget(row)
        return row

    def remove(self, row: int) -> int | None:
        """Free a row. Returns the row that moved into its place (it was the last one), or None."""
        last = self.rows - 1
        self.rows = last
        if row == last:
            return None
        for array in self._arrays():
            array[row] = array[last]
        return last

    def forget(self, row: int) -> None:
        """Empty a row's slots, to be given a memory at once: what it remembered is of something else."""
        self._memory_bias[row] = EMPTY_SLOT
        self._pointer_bias[row] = EMPTY_SLOT
        self._memory_age[row] = 0
        self._pointer_age[row] = 0
        self._written[row] = 0

    def give(self, row: int, seen: Memory, age: int) -> None:
        """Write a conditioning memory: the first one stays for good, later ones replace each other.

        age: tracked frames since the frame it speaks of, 0 for the frame just tracked.
        """
        slot = 0 if self._memory_bias[row, 0] == EMPTY_SLOT else GIVEN_SLOTS - 1
        self._memory[row, slot] = seen.memory
        self._memory_bias[row, slot] = 0
        self._pointer[row, slot] = seen.pointer
        self._pointer_age[row, slot] = min(age + 1, self._shape.recent_pointers)
        self._pointer_bias[row, slot] = 0

    def remember(
        self, memory: NDArray[np.float32], pointer: NDArray[np.float32], written: NDArray[np.bool_]
    ) -> None:
        """Write what the frame just tracked left in every row, and let the memories there age by one.

        memory (rows, n, D), pointer (rows, C); rows that are not `written` (rows,) keep what they had, at
        the age it had.
        """
        rows = np.flatnonzero(written)
        longest = float(self._shape.recent_pointers)
        self._pointer_age[rows] = np.minimum(self._pointer_age[rows] + 1, longest)
        ages = self._memory_age[rows, GIVEN_SLOTS:] + 1
        self._memory_age[rows, GIVEN_SLOTS:] = np.minimum(ages, self._shape.recent_memories)
        memory_slot = GIVEN_SLOTS + self._written[rows] % self._shape.recent_memories
        pointer_slot = GIVEN_SLOTS + self._written[rows] % self._shape.recent_pointers
        self._memory[rows, memory_slot] = memory[rows]
        self._memory_age[rows, memory_slot] = 1
        self._memory_bias[rows, memory_slot] = 0
        self._pointer[rows, pointer_slot] = pointer[rows]
        self._pointer_age[rows, pointer_slot] = 1
        self._pointer_bias[rows, pointer_slot] = 0
        self._written[rows] += 1

    def _arrays(self) -> tuple[NDArray[np.generic], ...]:
        return (
            self._memory,
            self._memory_age,
            self._memory_bias,
            self._pointer,
            self._pointer_age,
            self._pointer_bias,
            self._written,
        )
