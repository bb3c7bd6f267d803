"""What follows from a tracker's sizes."""

from __future__ import annotations

from engines.tracking.shape import TrackerShape

SHAPE = TrackerShape(
    side_px=512,
    map_px=32,
    places=256,
    channels=64,
    memory_channels=16,
    recent_memories=6,
    recent_pointers=15,
    given_memories=3,
)


def test_logits_are_four_times_as_fine_as_the_map() -> None:
    assert SHAPE.low_px == 128


def test_given_memories_have_slots_beside_the_recent_ones() -> None:
    assert (SHAPE.memories, SHAPE.pointers) == (3 + 6, 3 + 15)
