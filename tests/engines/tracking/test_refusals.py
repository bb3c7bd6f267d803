"""What a tracker refuses and counts: objects beyond its capacity, empty or malformed prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.tracking.tracker import MISSES_TO_END, SamTracker
from streaming.vocabulary import Answer, QueryId, SegPrompt, StreamId, TrackState
from tests.colour_sam import ColourSam
from tests.coloured_objects import (
    BLUE,
    RED,
    answer,
    click,
    covers,
    frame,
    ids,
    started,
)


def test_a_full_tracker_refuses_a_further_object_and_counts_it() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED, BLUE, capacity=1)
    assert len(tracker.step(frame(2, objects))) == 1
    assert tracker.counts.refused_objects == 1


def test_a_track_that_an_answer_ends_frees_its_row_for_a_new_track() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED, capacity=1)
    tracker.pin(1)
    tracks = tracker.step(frame(2, objects), [answer(1, objects, BLUE, revision=2)])
    assert {(int(track.track_id), track.state) for track in tracks} == {
        (1, TrackState.ENDED),
        (2, TrackState.TENTATIVE),
    }
    (track,) = tracker.step(frame(3, objects))
    assert covers(track, objects, BLUE) and tracker.counts.refused_objects == 0


def test_a_full_tracker_replaces_a_missed_track_after_two_answers() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED, capacity=1)
    living = []
    for index in range(2, 2 + MISSES_TO_END):
        tracker.pin(index - 1)
        tracks = tracker.step(frame(index, objects), [answer(index - 1, objects, BLUE)])
        living.append(ids([track for track in tracks if track.state is not TrackState.ENDED]))
    assert living == [{1}, {2}] and tracker.counts.refused_objects == 1


def test_of_a_thousand_objects_only_those_that_fit_are_accepted_and_computed() -> None:
    tracker = SamTracker(ColourSam().compiled(), capacity=3)
    tracker.step(frame(0, {RED: 0}))
    tracker.pin(0)
    logits = np.full((1000, 36, 64), -9.0, np.float32)
    for number in range(1000):
        logits[number, 8 + number % 10 : 24, number % 8 : 12] = 9.0
    prompt = SegPrompt("one of many", np.zeros(4, np.float32), 0.9)
    many = Answer(StreamId("s"), QueryId("q"), 1, 0, "", (prompt,) * 1000, logits)
    before = tracker.nbytes
    assert len(tracker.step(frame(1, {RED: 0}), [many])) == 3
    assert tracker.counts.refused_objects == 997 and tracker.nbytes - before <= ColourSam.level_bytes


@pytest.mark.parametrize("shape", [(36, 64), (1, 0, 64), (0, 36, 64), (1, 1, 36, 64)])
def test_a_mask_of_a_wrong_shape_is_refused_and_counted(shape: tuple[int, ...]) -> None:
    objects = {RED: 0}
    tracker = started(objects, RED)
    tracker.pin(1)
    wrong = replace(answer(1, objects, RED), logits=np.ones(shape, np.float32))
    (track,) = tracker.step(frame(2, objects), [wrong])
    assert covers(track, objects, RED) and tracker.counts.refused_prompts == 1


def test_an_empty_mask_is_refused_and_counted() -> None:
    objects = {RED: 0}
    tracker = started(objects, RED)
    tracker.pin(1)
    for empty in (-1.0, 0.0, np.nan):
        nothing = replace(answer(1, objects, RED), logits=np.full((1, 36, 64), empty, np.float32))
        (track,) = tracker.step(frame(2, objects), [nothing])
        assert covers(track, objects, RED)
    assert tracker.counts.refused_prompts == 3


def test_a_click_without_points_or_on_a_full_tracker_is_refused_and_counted() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED, capacity=1)
    tracker.pin(1)
    assert ids(tracker.step(frame(2, objects), [click(1), click(1, (46, 16), query="other")])) == {1}
    assert (tracker.counts.refused_prompts, tracker.counts.refused_objects) == (1, 1)
