"""The tracker of one stream: late answers, ids, edits, releases, capacity.

Most tests run on `ColourSam`, whose "network" follows the mean colour of the mask it was given: the rules are
the tracker's own and do not depend on weights. What depends on weights is in test_graphs.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engines.masks import decode_mask
from engines.tracking.memory_policy import AS_SAM2, PRODUCT
from engines.tracking.state import from_bytes
from engines.tracking.tracker import MISSES_TO_END, SamTracker
from streaming.vocabulary import (
    QueryId,
    Track,
    TrackState,
)
from tests.colour_sam import ColourSam
from tests.coloured_things import BLUE, GREEN, RED, Things, answer, covers, frame, ids, started


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
def test_a_late_answer_touches_no_other_track(delay: int) -> None:
    things = {RED: 0, BLUE: 40}
    alone, joined = started(things, RED), started(things, RED)
    joined.pin(1)
    late = answer(1, things, BLUE, query="late")
    for index in range(2, 10):
        (expected,) = alone.step(frame(index, things))
        tracks = joined.step(frame(index, things), [late] if index == 2 + delay else [])
        assert tracks[0] == expected
        assert len(tracks) == (2 if index >= 2 + delay else 1)


def test_an_answer_about_a_frame_that_was_not_pinned_is_ignored_and_counted() -> None:
    tracker = SamTracker(ColourSam().compiled())
    tracker.step(frame(0, {RED: 0}))
    assert tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)]) == []
    assert tracker.counts.ignored_answers == 1


def test_the_oldest_pin_makes_room() -> None:
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


def test_a_pin_of_a_source_that_counts_anew_replaces_the_old_one_of_that_number() -> None:
    tracker = SamTracker(ColourSam().compiled())
    for colour in (BLUE, RED):  # the source starts again: frame 0 is another picture now
        tracker.step(frame(0, {colour: 0}))
        tracker.pin(0)
    now = {RED: 20, BLUE: 45}
    (track,) = tracker.step(frame(1, now), [answer(0, {RED: 0}, RED)])
    assert covers(track, now, RED)


@pytest.mark.parametrize(("every", "remembered"), [(1, 8), (2, 4), (4, 2)])
def test_one_frame_in_so_many_is_remembered(every: int, remembered: int) -> None:
    sam = ColourSam()
    tracker = SamTracker(sam.compiled(), policy=replace(PRODUCT, remember_every=every))
    tracker.step(frame(0, {RED: 0}))
    tracker.pin(0)
    tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)])
    tracker.settle()
    before = sam.calls["remember"]
    for index in range(2, 10):
        tracker.step(frame(index, {RED: 0}))
        tracker.settle()
    assert sam.calls["remember"] - before == remembered


def test_doubtful_frames_are_not_remembered() -> None:
    """The network believes in its masks with 1.0: a higher bar keeps every frame out, a bar of 0 none."""
    written = []
    for keep_iou in (0.0, 1.0, 1.1):
        policy = replace(PRODUCT, remember_every=1, keep_iou=keep_iou)
        tracker = SamTracker(ColourSam().compiled(), policy=policy)
        tracker.step(frame(0, {RED: 0}))
        tracker.pin(0)
        tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)])
        tracker.step(frame(2, {RED: 0}))
        tracker.settle()
        written.append(int((tracker._bank.batch()[2] == 0).sum()))
    assert written == [3, 3, 1], "one given, two tracked"


@pytest.mark.parametrize(("bar", "seen"), [(1.0, True), (1.1, False)])
def test_a_mask_that_the_network_does_not_believe_in_is_not_shown(bar: float, seen: bool) -> None:
    """The network believes in its masks with 1.0."""
    tracker = SamTracker(ColourSam().compiled(), policy=replace(PRODUCT, seen_iou=bar))
    tracker.step(frame(0, {RED: 0}))
    tracker.pin(0)
    (track,) = tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)])
    assert (track.mask is not None) == seen


def test_without_objects_nothing_is_computed() -> None:
    network = ColourSam()
    tracker = SamTracker(network.compiled())
    for index in range(3):
        tracker.step(frame(index, {RED: 0}))
        tracker.pin(index)
    assert not any(network.calls.values())
    tracker.step(frame(3, {RED: 0}), [answer(0, {RED: 0}, RED)])
    tracker.settle()
    assert network.calls["encode"] == 2, "the pinned frame and this one"
    assert network.calls["prompt"] == network.calls["track"] == network.calls["remember"] == 1


def test_a_mask_on_a_live_track_keeps_its_id() -> None:
    things = {RED: 0, BLUE: 40}
    tracker = started(things, RED)
    tracker.pin(1)
    (track,) = tracker.step(frame(2, things), [answer(1, things, RED)])
    assert ids([track]) == {1} and track.keyframe_index == 1 and track.state is TrackState.ACTIVE


def test_a_thing_found_again_keeps_its_id() -> None:
    tracker = started({RED: 0, GREEN: 30}, RED)
    for index in range(2, 70):
        tracks = tracker.step(frame(index, {RED: 0, GREEN: 30} if index < 5 else {GREEN: 30}))
    assert tracks[0].state is TrackState.LOST and tracks[0].mask is None
    # It comes back in another colour, as the network sees it: only the grounder knows it.
    back = {BLUE: 10, GREEN: 30}
    tracker.step(frame(70, back))
    tracker.pin(70)
    (track,) = tracker.step(frame(71, back), [answer(70, back, BLUE)])
    assert ids([track]) == {1} and covers(track, back, BLUE)


def test_a_track_that_an_answer_corrects_begins_again_from_that_mask_alone() -> None:
    things = {RED: 0, BLUE: 40}
    tracker = started(things, RED, policy=replace(PRODUCT, remember_every=1))
    tracker.pin(1)
    # Half of what the track sees: the same thing, drawn quite otherwise.
    half = answer(1, things, RED)
    half.logits[:, :, 6:] = -20
    tracker.step(frame(2, things), [half])
    tracker.settle()
    _, _, bias, *_ = tracker._bank.batch()
    given_then_tracked = [True, False, True, False]
    assert [bool(slot == 0) for slot in bias[0]][: len(given_then_tracked)] == given_then_tracked


def test_an_answer_that_agrees_leaves_the_memories_as_they_are() -> None:
    things = {RED: 0, BLUE: 40}
    tracker = started(things, RED, policy=replace(PRODUCT, remember_every=1))
    tracker.pin(1)
    tracker.step(frame(2, things), [answer(1, things, RED)])
    _, _, bias, *_ = tracker._bank.batch()
    assert [bool(slot == 0) for slot in bias[0]][:2] == [True, True], (
        "the first look is kept beside the new one"
    )


def test_a_refusal_does_not_end_a_track_that_sees_its_object() -> None:
    things = {RED: 0}
    tracker = started(things, RED)
    for index in range(2, 8):
        tracker.pin(index - 1)
        (track,) = tracker.step(frame(index, things), [answer(index - 1, things)])
    assert track.state is TrackState.ACTIVE


def test_a_track_that_answers_keep_seeing_elsewhere_ends_once() -> None:
    things = {RED: 0, BLUE: 40}
    tracker = started(things, RED)
    states = []
    tracker.step(frame(2, things))
    tracker.step(frame(3, things))
    for index in range(4, 4 + MISSES_TO_END + 2):
        tracker.pin(index - 1)
        tracks = tracker.step(frame(index, things), [answer(index - 1, things, BLUE)])
        states.append({int(track.track_id): track.state for track in tracks})
    assert [state.get(1) for state in states] == [TrackState.ACTIVE, TrackState.ENDED, None, None]
    assert states[-1] == {2: TrackState.ACTIVE}


def test_an_edit_keeps_the_old_track_until_its_answer_and_then_moves_on() -> None:
    things = {RED: 0, BLUE: 40}
    tracker = started(things, RED)
    tracker.pin(1)
    assert ids(tracker.step(frame(2, things))) == {1}
    tracks = tracker.step(frame(3, things), [answer(1, things, BLUE, revision=2)])
    assert {(int(t.track_id), t.state, t.revision) for t in tracks} == {
        (1, TrackState.ENDED, 1),
        (2, TrackState.TENTATIVE, 2),
    }
    (track,) = tracker.step(frame(4, things))
    assert covers(track, things, BLUE)


def test_an_edit_that_means_the_same_thing_keeps_its_id() -> None:
    things = {RED: 0, BLUE: 40}
    tracker = started(things, RED)
    tracker.pin(1)
    (track,) = tracker.step(frame(2, things), [answer(1, things, RED, revision=2)])
    assert ids([track]) == {1} and track.revision == 2


def test_an_edit_that_means_nothing_here_ends_the_old_tracks() -> None:
    things = {RED: 0}
    tracker = started(things, RED)
    tracker.pin(1)
    (track,) = tracker.step(frame(2, things), [answer(1, things, revision=2)])
    assert track.state is TrackState.ENDED
    assert tracker.step(frame(3, things)) == []


def test_an_answer_to_words_that_changed_since_is_ignored() -> None:
    things = {RED: 0, BLUE: 40}
    tracker = started(things, RED)
    tracker.pin(1)
    tracker.step(frame(2, things), [answer(1, things, revision=2)])
    assert tracker.step(frame(3, things), [answer(1, things, BLUE, revision=1)]) == []
    assert tracker.counts.ignored_answers == 1


def test_a_released_query_ends_once_and_its_late_answers_do_not_bring_it_back() -> None:
    things = {RED: 0, BLUE: 40}
    tracker = started(things, RED, BLUE)
    tracker.pin(1)
    tracker.release(QueryId("q"))
    tracks = tracker.step(frame(2, things), [answer(1, things, RED)])
    assert {(int(t.track_id), t.state, t.mask) for t in tracks} == {
        (1, TrackState.ENDED, None),
        (2, TrackState.ENDED, None),
    }
    assert tracker.step(frame(3, things)) == []


def test_a_query_asked_again_after_its_release_begins_anew() -> None:
    things = {RED: 0}
    tracker = started(things, RED)
    tracker.release(QueryId("q"))
    tracker.step(frame(2, things))
    tracker.pin(2)
    (track,) = tracker.step(frame(3, things), [answer(2, things, RED)])
    assert ids([track]) == {2}, "ids are never reused"


def test_masks_of_any_size_are_of_the_whole_picture() -> None:
    things = {RED: 0}
    tracker = SamTracker(ColourSam().compiled())
    tracker.step(frame(0, things))
    tracker.pin(0)
    small = np.full((1, 9, 8), -9.0, np.float32)
    small[:, 2:6, 0:1] = 9.0
    (track,) = tracker.step(frame(1, things), [replace(answer(0, things, RED), logits=small)])
    assert covers(track, things, RED)


def test_objects_may_be_asked_to_share_no_pixel() -> None:
    """Both tracks see the one red thing; asked to be apart, the first of them has it."""
    things = {RED: 0}
    areas = []
    for apart in (False, True):
        tracker = SamTracker(ColourSam().compiled(), policy=replace(PRODUCT, apart=apart))
        tracker.step(frame(0, things))
        tracker.pin(0)
        both = [answer(0, things, RED, query=query) for query in ("a", "b")]
        tracks = tracker.step(frame(1, things), both)
        areas.append([0 if track.mask is None else int(decode_mask(track.mask).sum()) for track in tracks])
    assert areas[0][0] == areas[0][1] > 0 and areas[1] == [areas[0][0], 0]


def test_by_sam2s_rules_nothing_ends_that_is_not_seen() -> None:
    states = []
    for policy in (PRODUCT, AS_SAM2):
        tracker = SamTracker(ColourSam().compiled(), policy=policy)
        tracker.step(frame(0, {RED: 0}))
        tracker.pin(0)
        tracker.step(frame(1, {RED: 0}), [answer(0, {RED: 0}, RED)])
        tracks = [tracker.step(frame(index, {BLUE: 0})) for index in range(2, 40)]
        states.append([track.state for track in tracks[-1]])
    assert states == [[], [TrackState.LOST]]


def test_a_picture_that_is_no_number_loses_a_track_for_a_while_and_the_stream_lives() -> None:
    things = {RED: 0}
    network = ColourSam()
    tracker = SamTracker(network.compiled())
    tracker.step(frame(0, things))
    tracker.pin(0)
    tracker.step(frame(1, things), [answer(0, things, RED)])
    network.broken = True
    (track,) = tracker.step(frame(2, things))
    assert track.state is TrackState.LOST and track.mask is None and track.score == 0
    network.broken = False
    tracker.step(frame(3, things))
    (track,) = tracker.step(frame(4, things))
    assert track.state is TrackState.ACTIVE and covers(track, things, RED)
    assert tracker.counts.unsound_rows == 1


EVERY_FRAME = replace(PRODUCT, remember_every=1)


def test_a_frame_is_remembered_after_its_tracks_are_said_and_once() -> None:
    sam, things = ColourSam(), {RED: 0}
    tracker = SamTracker(sam.compiled(), policy=EVERY_FRAME)
    tracker.step(frame(0, things))
    tracker.pin(0)
    tracker.step(frame(1, things), [answer(0, things, RED)])
    assert sam.calls["remember"] == 0
    tracker.settle()
    tracker.settle()
    assert sam.calls["remember"] == 1
    tracker.step(frame(2, things))
    assert sam.calls["remember"] == 1
    tracker.step(frame(3, things))
    assert sam.calls["remember"] == 2, "of frame 2, where nobody settled"


def test_a_track_let_go_before_its_frame_is_remembered_leaves_the_others_their_own_memories() -> None:
    things = {RED: 0, GREEN: 40}
    tracker = started(things, RED, GREEN, policy=EVERY_FRAME)
    tracker.step(frame(2, things), [answer(0, things, RED, query="other")])
    tracker.release(QueryId("q"))
    exported = from_bytes(tracker.export()).bank
    remembered = exported["pointer"][exported["pointer_bias"] == 0]
    assert len(exported["pointer"]) == 1 and len(remembered) == 2, "given, and of frame 2"
    assert np.ptp(remembered, axis=0).max() == 0, "one colour"


def test_a_reset_forgets_the_frame_that_was_still_to_be_remembered() -> None:
    sam, things = ColourSam(), {RED: 0}
    tracker = SamTracker(sam.compiled(), policy=EVERY_FRAME)
    tracker.step(frame(0, things))
    tracker.pin(0)
    tracker.step(frame(1, things), [answer(0, things, RED)])
    tracker.reset()
    tracker.settle()
    assert sam.calls["remember"] == 0


def test_a_future_frame_changes_no_past_result() -> None:
    def run(last: Things) -> list[list[Track]]:
        tracker = started({RED: 0}, RED)
        return [tracker.step(frame(index, {RED: index})) for index in range(2, 6)] + [
            tracker.step(frame(6, last))
        ]

    first, second = run({RED: 40}), run({BLUE: 3})
    assert first[:-1] == second[:-1] and first[-1] != second[-1]


def test_two_thousand_frames_with_objects_coming_and_going_keep_the_same_bytes() -> None:
    things = {RED: 2, GREEN: 20, BLUE: 45}
    tracker = SamTracker(ColourSam().compiled(), capacity=3, pins=2)
    rng = np.random.default_rng(0)
    sizes = set()
    for index in range(2000):
        keyframe = index - 1
        answers = []
        if index % 4 == 3:
            colour = (RED, GREEN, BLUE)[rng.integers(3)]
            answers = [answer(keyframe, things, colour, query=f"q{rng.integers(5)}")]
        if index % 7 == 0:
            tracker.release(QueryId(f"q{rng.integers(5)}"))
        tracker.step(frame(index, things), answers)
        tracker.pin(index)
        if index > 50:
            sizes.add(tracker.nbytes)
    assert max(sizes) - min(sizes) <= 2 * ColourSam.level_bytes, "pins with features or without"
    assert tracker.counts.refused_objects > 0


def test_a_reset_forgets_everything_but_the_ids_already_given() -> None:
    things = {RED: 0}
    tracker = started(things, RED)
    tracker.reset()
    assert tracker.step(frame(2, things)) == []
    tracker.pin(2)
    (track,) = tracker.step(frame(3, things), [answer(2, things, RED)])
    assert ids([track]) == {2}
