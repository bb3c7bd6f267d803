"""The sizes of a tracker's buffers, which its graphs and its memory agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

GIVEN_SLOTS: Final = 2
"""Conditioning memories a track keeps where its checkpoint sets no limit: the first and the last."""

POINTS: Final = 8
"""Points of one click, a box counting as two: the slots of graphs.PointPrompt."""

EMPTY_SLOT: Final = -1e4
"""Key bias of an empty slot; 0 where the slot holds something."""


@dataclass(frozen=True, slots=True)
class TrackerShape:
    """The sizes that a tracker's buffers follow from."""

    side_px: int
    "S, of the picture."
    map_px: int
    "Side of the stride-16 map."
    places: int
    "n, tokens of a memory: one for each place of the map, or fewer (`memory_form.py`)."
    channels: int
    "C"
    memory_channels: int
    "D"
    recent_memories: int
    recent_pointers: int
    given_memories: int = GIVEN_SLOTS
    "At least 2."

    @property
    def low_px(self) -> int:
        """Side of the logits."""
        return 4 * self.map_px

    @property
    def memories(self) -> int:
        """M"""
        return self.given_memories + self.recent_memories

    @property
    def pointers(self) -> int:
        """P"""
        return self.given_memories + self.recent_pointers
