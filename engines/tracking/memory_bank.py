"""What a tracker remembers of the objects of one stream: arrays of fixed size, nothing else.

A row is one object. Rows in use are the first ones, always, so that a batch is a view of the
arrays and costs no copy; when a row in the middle is freed the last one moves into it. In each row, with G
slots for what was given:

    memory    slots 0..G-1   conditioning memories: given masks, which of them says the policy
              slots G..      a ring of the last tracked frames
    pointer   slots 0..G-1   pointers of the conditioning masks
              slots G..      a ring of the last tracked frames

Ages are in frames written: with a policy that writes every frame, in frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

    def __init__(self, shape: TrackerShape, capacity: int, policy: TrackerPolicy = PRODUCT) -> None:
        self._shape = shape
        self._policy = policy
        self._longest = float(shape.recent_pointers) if policy.pointer_ages_end else np.inf
        self.capacity = capacity
        rows, memories, pointers = capacity, shape.memories, shape.pointers
        self._memory = np.zeros((rows, memories, shape.places, shape.memory_channels), np.float32)
        self._memory_age = np.zeros((rows, memories), np.int64)
        self._memory_bias = np.full((rows, memories), EMPTY_SLOT, np.float32)
        self._pointer = np.zeros((rows, pointers, shape.channels), np.float32)
        self._pointer_age = np.zeros((rows, pointers), np.float32)
        self._pointer_bias = np.full((rows, pointers), EMPTY_SLOT, np.float32)
        self._written = np.zeros(rows, np.int64)
        self._given = np.zeros(rows, np.int64)
        self.rows = 0

    @property
    def full(self) -> bool:
        """Whether no further object fits."""
        return self.rows == self.capacity

    @property
    def nbytes(self) -> int:
        """Size of all buffers; never changes."""
        return sum(array.nbytes for array in self._arrays().values())

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
        for array in self._arrays().values():
            array[row] = array[last]
        return last

    def forget(self, row: int) -> None:
        """Empty a row's slots, to be given a memory at once: what it remembered is of something else."""
        self._memory_bias[row] = EMPTY_SLOT
        self._pointer_bias[row] = EMPTY_SLOT
        self._memory_age[row] = 0
        self._pointer_age[row] = 0
        self._written[row] = 0
        self._given[row] = 0

    def give(self, row: int, seen: Memory, age: int) -> None:
        """Write a conditioning memory; where all slots are taken one makes room.

        age: tracked frames since the frame it speaks of, 0 for the frame just tracked.
        """
        slot = self._slot_for(int(self._given[row]))
        if self._policy.given_replaces_tracked:
            self._leave_out(row, age + 1)
        self._memory[row, slot] = self._stored(seen.memory)
        self._memory_bias[row, slot] = 0
        self._pointer[row, slot] = seen.pointer
        self._pointer_age[row, slot] = min(age + 1, self._longest)
        self._pointer_bias[row, slot] = 0
        self._given[row] += 1

    def _slot_for(self, given: int) -> int:
        """Where the next given memory goes, after so many."""
        slots = self._shape.given_memories
        if given < slots or not self._policy.first_stays:
            return given % slots
        return 1 + (given - 1) % (slots - 1)

    def _leave_out(self, row: int, age: int) -> None:
        """Hide what was tracked on the frame of that age."""
        first = self._shape.given_memories
        for ages, bias in (
            (self._memory_age[row, first:], self._memory_bias[row, first:]),
            (self._pointer_age[row, first:], self._pointer_bias[row, first:]),
        ):
            bias[ages == age] = EMPTY_SLOT

    def remember(
        self, memory: NDArray[np.float32], pointer: NDArray[np.float32], written: NDArray[np.bool_]
    ) -> None:
        """Write what the frame just tracked left in every row, and let the memories there age by one.

        memory (rows, n, D), pointer (rows, C); rows that are not `written` (rows,) keep what they had, at
        the age it had.
        """
        rows, given = np.flatnonzero(written), self._shape.given_memories
        self._pointer_age[rows] = np.minimum(self._pointer_age[rows] + 1, self._longest)
        ages = self._memory_age[rows, given:] + 1
        self._memory_age[rows, given:] = np.minimum(ages, self._shape.recent_memories)
        memory_slot = given + self._written[rows] % self._shape.recent_memories
        pointer_slot = given + self._written[rows] % self._shape.recent_pointers
        self._memory[rows, memory_slot] = self._stored(memory[rows])
        self._memory_age[rows, memory_slot] = 1
        self._memory_bias[rows, memory_slot] = 0
        self._pointer[rows, pointer_slot] = pointer[rows]
        self._pointer_age[rows, pointer_slot] = 1
        self._pointer_bias[rows, pointer_slot] = 0
        self._written[rows] += 1

    def _stored(self, memory: NDArray[np.float32]) -> NDArray[np.float32]:
        return to_half_precision(memory) if self._policy.half_precision else memory

    def export(self) -> dict[str, NDArray[np.generic]]:
        """Copies of the rows in use, by name."""
        return {name: array[: self.rows].copy() for name, array in self._arrays().items()}

    def restore(self, arrays: Mapping[str, NDArray[np.generic]]) -> None:
        """Take in what a bank of this shape has exported, in place of all it holds.

        Raises InvalidMessage where that is not what was given, LimitReached where it does not fit.
        """
        own = self._arrays()
        if arrays.keys() != own.keys():
            raise InvalidMessage(f"A memory has {', '.join(own)}; here are {', '.join(arrays)}.")
        rows = len(arrays["written"])
        for name, array in own.items():
            wanted = (rows, *array.shape[1:])
            if arrays[name].shape != wanted or arrays[name].dtype != array.dtype:
                found = f"{arrays[name].dtype} {arrays[name].shape}"
                raise InvalidMessage(f"The memory's {name} is {found}, not {array.dtype} {wanted}.")
        if rows > self.capacity:
            raise LimitReached(
                f"A memory of {rows} objects does not fit into {self.capacity} rows.",
                remedy="Give the tracker a larger capacity.",
            )
        for name, array in own.items():
            array[:rows] = arrays[name]
        self.rows = rows

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "memory": self._memory,
            "memory_age": self._memory_age,
            "memory_bias": self._memory_bias,
            "pointer": self._pointer,
            "pointer_age": self._pointer_age,
            "pointer_bias": self._pointer_bias,
            "written": self._written,
            "given": self._given,
        }


def to_half_precision(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to the nearest bfloat16, ties to even, as finite float32."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return rounded.view(np.float32)
