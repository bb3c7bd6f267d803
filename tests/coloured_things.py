"""Pictures of coloured things, and what a grounder or a person says of them: cases of the tracker's tests."""

from __future__ import annotations

import numpy as np

from engines.masks import decode_mask
from engines.tracking.memory_policy import PRODUCT, TrackerPolicy
from engines.tracking.tracker import SamTracker
from streaming.vocabulary import Answer, Click, Clock, Frame, Prompt, QueryId, StreamId, Track
from tests.colour_sam import ColourSam

RED, GREEN, BLUE = (220, 30, 30), (30, 220, 30), (30, 30, 220)
Things = dict[tuple[int, int, int], int]
"""Colour of each thing and the column of its left edge."""


def picture(things: Things) -> np.ndarray:
    pixels = np.full((36, 64, 3), 100, np.uint8)
    for colour, left in things.items():
        pixels[8:24, left : left + 12] = colour
    return pixels


def frame(index: int, things: Things) -> Frame:
    return Frame(StreamId("s"), index, picture(things), index / 30, 0.0, Clock.ARRIVAL)


def answer(
    keyframe: int, things: Things, *colours: tuple[int, int, int], query: str = "q", revision: int = 1
) -> Answer:
    pixels = picture(things).astype(int)
    logits = [20.0 - np.abs(pixels - colour).max(axis=2) for colour in colours]
    prompts = tuple(Prompt(f"the {colour} thing", np.zeros(4, np.float32), 0.9) for colour in colours)
    stacked = np.array(logits, np.float32).reshape(len(colours), 36, 64)
    return Answer(StreamId("s"), QueryId(query), revision, keyframe, "Sure, [SEG].", prompts, stacked)


def started(
    things: Things, *colours: tuple[int, int, int], capacity: int = 4, policy: TrackerPolicy = PRODUCT
) -> SamTracker:
    """A tracker that follows things of these colours since frame 0; frame 1 has been stepped."""
    tracker = SamTracker(ColourSam().compiled(), capacity=capacity, policy=policy)
    tracker.step(frame(0, things))
    tracker.pin(0)
    tracker.step(frame(1, things), [answer(0, things, *colours)])
    return tracker


def covers(track: Track, things: Things, colour: tuple[int, int, int]) -> bool:
    assert track.mask is not None
    mask = decode_mask(track.mask)
    return bool(mask[16, things[colour] + 6]) and mask.sum() < 400


def ids(tracks: list[Track]) -> set[int]:
    return {int(track.track_id) for track in tracks}


def click(keyframe: int, *points: tuple[float, float], query: str = "q") -> Click:
    """Points of the source picture, all of them on the object."""
    places = np.array(points, np.float32).reshape(-1, 2) / np.array([64, 36], np.float32)
    return Click(
        StreamId("s"), QueryId(query), 1, keyframe, places, np.ones(len(points), np.bool_), phrase="that"
    )
