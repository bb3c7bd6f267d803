"""The tracker of one stream: late answers, ids, edits, releases, capacity.

Most tests run on `ColourSam`, whose "network" segments the mean colour of the mask prompt: the rules are the
tracker's own and do not depend on weights. What depends on weights is in test_graphs.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.masks import decode_mask
from engines.tracking.memory_policy import AS_SAM2, PRODUCT
from engines.tracking.tracker import MISSES_TO_END, SamTracker
from streaming.vocabulary import (
    QueryId,
    Track,
    TrackState,
)
from tests.colour_sam import ColourSam
from tests.coloured_objects import BLUE, GREEN, RED, Layout, answer, covers, frame, ids, started


@pytest.mark.parametrize("delay", range(8))
def test_an_answer_late_by_any_delay_yields_its_track_on_the_current_frame(delay: int) -> None:
    tracker = SamTracker(ColourSam().compiled(), pins=8)
    for index in range(delay + 1):
        assert tracker.step(frame(index, {RED: index})) == []
        tracker.pin(index) if index == 0 else None
    now = {RED: delay + 20}
    (track,) = tracker.step(frame(delay + 1, now), [answer(0, {RED: 0}, RED)])
    assert covers(track, now, RED) and track.keyframe_index == 0


@pytest.mark.parametrize("delay", range(6))
def test_a_late_answer_changes_no_other_track(delay: int) -> None:
    objects = {RED: 0, BLUE: 40}
    alone, joined = started(objects, RED), started(objects, RED)
    joined.pin(1)
    late = answer(1, objects, BLUE, query="late")
    for index in range(2, 10):
        (expected,) = alone.step(frame(index, objects))
        tracks = joined.step(frame(index, objects), [late] if index == 2 + delay else [])
        assert tracks[0] == expected
        assert len(tracks) == (2 if index >= 2 + delay else 1)


def test_an_answer_about_a_frame_that_was_not_pinned_is_ignored_and_counted() -> None:
    tracker = SamTracker(ColourSam().compiled())
    tracker.step(frame(0, {RED: 0}))
    assert tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)]) == []
    assert tracker.counts.ignored_answers == 1


def test_the_oldest_pin_is_dropped_when_pins_are_full() -> None:
    tracker = SamTracker(ColourSam().compiled(), pins=2)
    for index in range(3):
        tracker.step(frame(index, {RED: 0}))
        tracker.pin(index)
    assert tracker.step(frame(3, {RED: 0}), [answer(0, {RED: 0}, RED)]) == []
    assert len(tracker.step(frame(4, {RED: 0}), [answer(1, {RED: 0}, RED)])) == 1


def test_only_the_frame_just_stepped_can_be_pinned() -> None:
    tracker = SamTracker(ColourSam().compiled())
    tracker.step(frame(0, {RED: 0}))
    tracker.step(frame(1, {RED: 0}))
    tracker.pin(0)
    assert tracker.step(frame(2, {RED: 0}), [answer(0, {RED: 0}, RED)]) == []


def test_a_pin_of_a_restarted_source_replaces_the_pin_of_the_same_frame_index() -> None:
    tracker = SamTracker(ColourSam().compiled())
    for colour in (BLUE, RED):  # the source restarts: frame 0 is another image now
        tracker.step(frame(0, {colour: 0}))
        tracker.pin(0)
    now = {RED: 20, BLUE: 45}
    (track,) = tracker.step(frame(1, now), [answer(0, {RED: 0}, RED)])
    assert covers(track, now, RED)


@pytest.mark.parametrize(("stride", "remembered"), [(1, 8), (2, 4), (4, 2)])
def test_one_frame_per_temporal_stride_is_remembered(stride: int, remembered: int) -> None:
    sam = ColourSam()
    tracker = SamTracker(sam.compiled(), policy=replace(PRODUCT, memory_temporal_stride=stride))
    tracker.step(frame(0, {RED: 0}))
    tracker.pin(0)
    tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)])
    tracker.commit_memory()
    before = sam.calls["remember"]
    for index in range(2, 10):
        tracker.step(frame(index, {RED: 0}))
        tracker.commit_memory()
    assert sam.calls["remember"] - before == remembered


def test_frames_with_a_low_predicted_iou_are_not_remembered() -> None:
    """ColourSam predicts an IoU of 1.0: a higher minimum excludes every frame, a minimum of 0 none."""
    written = []
    for min_memory_iou in (0.0, 1.0, 1.1):
        policy = replace(PRODUCT, memory_temporal_stride=1, min_memory_iou=min_memory_iou)
        tracker = SamTracker(ColourSam().compiled(), policy=policy)
        tracker.step(frame(0, {RED: 0}))
        tracker.pin(0)
        tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)])
        tracker.step(frame(2, {RED: 0}))
        tracker.commit_memory()
        written.append(int((tracker._bank.batch()[2] == 0).sum()))
    assert written == [3, 3, 1], "one conditioning memory, two tracked"


@pytest.mark.parametrize(("minimum", "visible"), [(1.0, True), (1.1, False)])
def test_a_mask_with_a_low_predicted_iou_is_not_published(minimum: float, visible: bool) -> None:
    """ColourSam predicts an IoU of 1.0."""
    tracker = SamTracker(ColourSam().compiled(), policy=replace(PRODUCT, min_visible_iou=minimum))
    tracker.step(frame(0, {RED: 0}))
    tracker.pin(0)
    (track,) = tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)])
    assert (track.mask is not None) == visible


def test_without_objects_nothing_is_computed() -> None:
    network = ColourSam()
    tracker = SamTracker(network.compiled())
    for index in range(3):
        tracker.step(frame(index, {RED: 0}))
        tracker.pin(index)
    assert not any(network.calls.values())
    tracker.step(frame(3, {RED: 0}), [answer(0, {RED: 0}, RED)])
    tracker.commit_memory()
    assert network.calls["encode"] == 2, "the pinned frame and this one"
    assert network.calls["prompt"] == network.calls["track"] == network.calls["remember"] == 1


def test_a_mask_on_a_live_track_keeps_its_id() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED)
    tracker.pin(1)
    (track,) = tracker.step(frame(2, objects), [answer(1, objects, RED)])
    assert ids([track]) == {1} and track.keyframe_index == 1 and track.state is TrackState.ACTIVE


def test_a_reacquired_object_keeps_its_id() -> None:
    tracker = started({RED: 0, GREEN: 30}, RED)
    for index in range(2, 70):
        tracks = tracker.step(frame(index, {RED: 0, GREEN: 30} if index < 5 else {GREEN: 30}))
    assert tracks[0].state is TrackState.LOST and tracks[0].mask is None
    # It returns in another colour, which only the grounder recognises.
    back = {BLUE: 10, GREEN: 30}
    tracker.step(frame(70, back))
    tracker.pin(70)
    (track,) = tracker.step(frame(71, back), [answer(70, back, BLUE)])
    assert ids([track]) == {1} and covers(track, back, BLUE)


def test_a_track_that_an_answer_corrects_keeps_only_that_conditioning_memory() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED, policy=replace(PRODUCT, memory_temporal_stride=1))
    tracker.pin(1)
    # Half of the track's mask: the same object with a low IoU.
    half = answer(1, objects, RED)
    half.logits[:, :, 6:] = -20
    tracker.step(frame(2, objects), [half])
    tracker.commit_memory()
    _, _, bias, *_ = tracker._bank.batch()
    cond_then_tracked = [True, False, True, False]
    assert [bool(slot == 0) for slot in bias[0]][: len(cond_then_tracked)] == cond_then_tracked


def test_an_answer_that_agrees_keeps_the_earlier_memories() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED, policy=replace(PRODUCT, memory_temporal_stride=1))
    tracker.pin(1)
    tracker.step(frame(2, objects), [answer(1, objects, RED)])
    _, _, bias, *_ = tracker._bank.batch()
    assert [bool(slot == 0) for slot in bias[0]][:2] == [True, True], (
        "the first conditioning memory is kept beside the new one"
    )


def test_an_answer_without_masks_does_not_end_a_visible_track() -> None:
    objects = {RED: 0}
    tracker = started(objects, RED)
    for index in range(2, 8):
        tracker.pin(index - 1)
        (track,) = tracker.step(frame(index, objects), [answer(index - 1, objects)])
    assert track.state is TrackState.ACTIVE


def test_a_track_missed_by_consecutive_answers_ends_once() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED)
    states = []
    tracker.step(frame(2, objects))
    tracker.step(frame(3, objects))
    for index in range(4, 4 + MISSES_TO_END + 2):
        tracker.pin(index - 1)
        tracks = tracker.step(frame(index, objects), [answer(index - 1, objects, BLUE)])
        states.append({int(track.track_id): track.state for track in tracks})
    assert [state.get(1) for state in states] == [TrackState.ACTIVE, TrackState.ENDED, None, None]
    assert states[-1] == {2: TrackState.ACTIVE}


def test_an_edit_keeps_the_old_track_until_its_answer_ends_it() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED)
    tracker.pin(1)
    assert ids(tracker.step(frame(2, objects))) == {1}
    tracks = tracker.step(frame(3, objects), [answer(1, objects, BLUE, revision=2)])
    assert {(int(t.track_id), t.state, t.revision) for t in tracks} == {
        (1, TrackState.ENDED, 1),
        (2, TrackState.TENTATIVE, 2),
    }
    (track,) = tracker.step(frame(4, objects))
    assert covers(track, objects, BLUE)


def test_an_edit_that_refers_to_the_same_object_keeps_the_id() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED)
    tracker.pin(1)
    (track,) = tracker.step(frame(2, objects), [answer(1, objects, RED, revision=2)])
    assert ids([track]) == {1} and track.revision == 2


def test_an_edit_whose_answer_has_no_masks_ends_the_old_tracks() -> None:
    objects = {RED: 0}
    tracker = started(objects, RED)
    tracker.pin(1)
    (track,) = tracker.step(frame(2, objects), [answer(1, objects, revision=2)])
    assert track.state is TrackState.ENDED
    assert tracker.step(frame(3, objects)) == []


def test_an_answer_to_an_older_revision_is_ignored_and_counted() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED)
    tracker.pin(1)
    tracker.step(frame(2, objects), [answer(1, objects, revision=2)])
    assert tracker.step(frame(3, objects), [answer(1, objects, BLUE, revision=1)]) == []
    assert tracker.counts.ignored_answers == 1


def test_a_released_query_ends_its_tracks_once_and_late_answers_are_ignored() -> None:
    objects = {RED: 0, BLUE: 40}
    tracker = started(objects, RED, BLUE)
    tracker.pin(1)
    tracker.release(QueryId("q"))
    tracks = tracker.step(frame(2, objects), [answer(1, objects, RED)])
    assert {(int(t.track_id), t.state, t.mask) for t in tracks} == {
        (1, TrackState.ENDED, None),
        (2, TrackState.ENDED, None),
    }
    assert tracker.step(frame(3, objects)) == []


def test_a_query_asked_again_after_its_release_starts_a_new_track() -> None:
    objects = {RED: 0}
    tracker = started(objects, RED)
    tracker.release(QueryId("q"))
    tracker.step(frame(2, objects))
    tracker.pin(2)
    (track,) = tracker.step(frame(3, objects), [answer(2, objects, RED)])
    assert ids([track]) == {2}, "ids are never reused"


def test_masks_of_any_size_cover_the_whole_frame() -> None:
    objects = {RED: 0}
    tracker = SamTracker(ColourSam().compiled())
    tracker.step(frame(0, objects))
    tracker.pin(0)
    small = np.full((1, 9, 8), -9.0, np.float32)
    small[:, 2:6, 0:1] = 9.0
    (track,) = tracker.step(frame(1, objects), [replace(answer(0, objects, RED), logits=small)])
    assert covers(track, objects, RED)


def test_published_masks_do_not_overlap_under_that_policy() -> None:
    """Both tracks follow the one red object; without overlap the first of them has its pixels."""
    objects = {RED: 0}
    areas = []
    for exclusive in (False, True):
        tracker = SamTracker(ColourSam().compiled(), policy=replace(PRODUCT, non_overlapping_masks=exclusive))
        tracker.step(frame(0, objects))
        tracker.pin(0)
        both = [answer(0, objects, RED, query=query) for query in ("a", "b")]
        tracks = tracker.step(frame(1, objects), both)
        areas.append([0 if track.mask is None else int(decode_mask(track.mask).sum()) for track in tracks])
    assert areas[0][0] == areas[0][1] > 0 and areas[1] == [areas[0][0], 0]


def test_under_sam2s_policy_a_track_that_is_not_visible_does_not_end() -> None:
    states = []
    for policy in (PRODUCT, AS_SAM2):
        tracker = SamTracker(ColourSam().compiled(), policy=policy)
        tracker.step(frame(0, {RED: 0}))
        tracker.pin(0)
        tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)])
        tracks = [tracker.step(frame(index, {BLUE: 0})) for index in range(2, 40)]
        states.append([track.state for track in tracks[-1]])
    assert states == [[], [TrackState.LOST]]


def test_non_finite_output_makes_a_track_lost_until_the_next_finite_frames() -> None:
    objects = {RED: 0}
    network = ColourSam()
    tracker = SamTracker(network.compiled())
    tracker.step(frame(0, objects))
    tracker.pin(0)
    tracker.step(frame(1, objects), [answer(0, objects, RED)])
    network.broken = True
    (track,) = tracker.step(frame(2, objects))
    assert track.state is TrackState.LOST and track.mask is None and track.score == 0
    network.broken = False
    tracker.step(frame(3, objects))
    (track,) = tracker.step(frame(4, objects))
    assert track.state is TrackState.ACTIVE and covers(track, objects, RED)
    assert tracker.counts.unsound_rows == 1


EVERY_FRAME = replace(PRODUCT, memory_temporal_stride=1)


def test_memory_is_committed_once_and_after_the_tracks_are_returned() -> None:
    sam, objects = ColourSam(), {RED: 0}
    tracker = SamTracker(sam.compiled(), policy=EVERY_FRAME)
    tracker.step(frame(0, objects))
    tracker.pin(0)
    tracker.step(frame(1, objects), [answer(0, objects, RED)])
    assert sam.calls["remember"] == 0
    tracker.commit_memory()
    tracker.commit_memory()
    assert sam.calls["remember"] == 1
    tracker.step(frame(2, objects))
    assert sam.calls["remember"] == 1
    tracker.step(frame(3, objects))
    assert sam.calls["remember"] == 2, "of frame 2, by the next step"


def test_a_track_removed_before_the_commit_does_not_change_the_memories_of_others() -> None:
    objects = {RED: 0, GREEN: 40}
    tracker = started(objects, RED, GREEN, policy=EVERY_FRAME)
    tracker.step(frame(2, objects), [answer(0, objects, RED, query="other")])
    tracker.release(QueryId("q"))
    exported = tracker.snapshot().bank.arrays
    remembered = exported["obj_ptr"][exported["obj_ptr_bias"] == 0]
    assert len(exported["obj_ptr"]) == 1 and len(remembered) == 2, (
        "the conditioning memory and that of frame 2"
    )
    assert np.ptp(remembered, axis=0).max() == 0, "one colour"


def test_a_reset_drops_the_uncommitted_memory() -> None:
    sam, objects = ColourSam(), {RED: 0}
    tracker = SamTracker(sam.compiled(), policy=EVERY_FRAME)
    tracker.step(frame(0, objects))
    tracker.pin(0)
    tracker.step(frame(1, objects), [answer(0, objects, RED)])
    tracker.reset()
    tracker.commit_memory()
    assert sam.calls["remember"] == 0


def test_a_future_frame_changes_no_past_result() -> None:
    def run(last: Layout) -> list[list[Track]]:
        tracker = started({RED: 0}, RED)
        return [tracker.step(frame(index, {RED: index})) for index in range(2, 6)] + [
            tracker.step(frame(6, last))
        ]

    first, second = run({RED: 40}), run({BLUE: 3})
    assert first[:-1] == second[:-1] and first[-1] != second[-1]


def test_memory_is_constant_over_two_thousand_frames_with_objects_coming_and_going() -> None:
    objects = {RED: 2, GREEN: 20, BLUE: 45}
    tracker = SamTracker(ColourSam().compiled(), capacity=3, pins=2)
    rng = np.random.default_rng(0)
    sizes = set()
    for index in range(2000):
        keyframe = index - 1
        answers = []
        if index % 4 == 3:
            colour = (RED, GREEN, BLUE)[rng.integers(3)]
            answers = [answer(keyframe, objects, colour, query=f"q{rng.integers(5)}")]
        if index % 7 == 0:
            tracker.release(QueryId(f"q{rng.integers(5)}"))
        tracker.step(frame(index, objects), answers)
        tracker.pin(index)
        if index > 50:
            sizes.add(tracker.nbytes)
    assert max(sizes) - min(sizes) <= 2 * ColourSam.level_bytes, "pins with and without features"
    assert tracker.counts.refused_objects > 0


def test_a_reset_clears_everything_but_the_used_track_ids() -> None:
    objects = {RED: 0}
    tracker = started(objects, RED)
    tracker.reset()
    assert tracker.step(frame(2, objects)) == []
    tracker.pin(2)
    (track,) = tracker.step(frame(3, objects), [answer(2, objects, RED)])
    assert ids([track]) == {2}
