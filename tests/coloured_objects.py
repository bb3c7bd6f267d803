"""Frames of coloured squares, and answers and clicks about them, for tests of the tracker."""

from __future__ import annotations

import numpy as np

from engines.masks import decode_mask
from engines.tracking.memory_policy import PRODUCT, TrackerPolicy
from engines.tracking.tracker import SamTracker
from streaming.vocabulary import Answer, Click, Clock, Frame, QueryId, SegPrompt, StreamId, Track
from tests.colour_sam import ColourSam

RED, GREEN, BLUE = (220, 30, 30), (30, 220, 30), (30, 30, 220)
Layout = dict[tuple[int, int, int], int]
"""Of each square its colour (RGB) and the column of its left edge."""


def draw(layout: Layout) -> np.ndarray:
    pixels = np.full((36, 64, 3), 100, np.uint8)
    for colour, left in layout.items():
        pixels[8:24, left : left + 12] = colour
    return pixels


def frame(index: int, layout: Layout) -> Frame:
    return Frame(StreamId("s"), index, draw(layout), index / 30, 0.0, Clock.ARRIVAL)


def answer(
    keyframe: int, layout: Layout, *colours: tuple[int, int, int], query: str = "q", revision: int = 1
) -> Answer:
    pixels = draw(layout).astype(int)
    logits = [20.0 - np.abs(pixels - colour).max(axis=2) for colour in colours]
    prompts = tuple(SegPrompt(f"the {colour} square", np.zeros(4, np.float32), 0.9) for colour in colours)
    stacked = np.array(logits, np.float32).reshape(len(colours), 36, 64)
    return Answer(StreamId("s"), QueryId(query), revision, keyframe, "Sure, [SEG].", prompts, stacked)


def started(
    layout: Layout, *colours: tuple[int, int, int], capacity: int = 4, policy: TrackerPolicy = PRODUCT
) -> SamTracker:
    """Start a tracker on the squares of these colours at frame 0, and step frame 1."""
    tracker = SamTracker(ColourSam().compiled(), capacity=capacity, policy=policy)
    tracker.step(frame(0, layout))
    tracker.pin(0)
    tracker.step(frame(1, layout), [answer(0, layout, *colours)])
    return tracker


def covers(track: Track, layout: Layout, colour: tuple[int, int, int]) -> bool:
    assert track.mask is not None
    mask = decode_mask(track.mask)
    return bool(mask[16, layout[colour] + 6]) and mask.sum() < 400


def ids(tracks: list[Track]) -> set[int]:
    return {int(track.track_id) for track in tracks}


def click(keyframe: int, *points: tuple[float, float], query: str = "q") -> Click:
    """A click with points in source pixels, all of them positive."""
    places = np.array(points, np.float32).reshape(-1, 2) / np.array([64, 36], np.float32)
    return Click(
        StreamId("s"), QueryId(query), 1, keyframe, places, np.ones(len(points), np.bool_), phrase="that"
    )
