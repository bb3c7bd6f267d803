"""Clicks start a track or update one."""

from __future__ import annotations

from engines.tracking.tracker import SamTracker
from streaming.vocabulary import TrackState
from tests.colour_sam import ColourSam
from tests.coloured_objects import BLUE, RED, click, covers, frame, ids, started


def test_a_click_starts_a_track_of_the_object_under_it() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = SamTracker(ColourSam().compiled())
    tracker.step(frame(0, objects))
    tracker.pin(0)
    now = {RED: 10, BLUE: 30}
    (track,) = tracker.step(frame(1, now), [click(0, (46, 16))])
    assert covers(track, now, BLUE) and track.phrase == "that" and track.state is TrackState.TENTATIVE


def test_a_click_on_a_live_track_keeps_its_id_and_changes_no_other_track() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED, BLUE)
    for index in range(2, 8):
        tracker.pin(index - 1)
        tracks = tracker.step(frame(index, objects), [click(index - 1, (46, 16))])
    assert ids(tracks) == {1, 2} and {track.state for track in tracks} == {TrackState.ACTIVE}
    assert [track.keyframe_index for track in tracks] == [0, 6]
