"""How a stream goes on, by what is known of it: numbers are never given twice in an epoch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.resumption import MAX_AGE_S, MAX_BEHIND, Published, resumption
from actors.stream_snapshot import StoredSnapshot
from streaming.events import Event, EventType
from streaming.moment import StoredMoment
from streaming.vocabulary import Clock, FrameResult, Latency, QueryId, Track, TrackId, TrackState
from tests.snapshots import RECORD, S

NOW = StoredMoment(1003.0, 53.0, "boot")
SNAPSHOT = StoredSnapshot(RECORD, b"memories")
"Three seconds old; next: frame 101, track 5."


def track(number: int, state: TrackState = TrackState.ACTIVE) -> Track:
    return Track(TrackId(number), QueryId("q"), 2, "it", state, 1.0, None, None, 90)


def published(index: int = 130, *tracks: Track, epoch: int = RECORD.epoch, newest_id: int = 0) -> Published:
    frame = FrameResult(
        S, index, 0, 0, Clock.ARRIVAL, 0, 4, 4, 0, Latency(0, 0, 0), tracks, epoch=epoch
    )  # fmt: skip
    events = [Event(EventType.NEW, S, TrackId(newest_id), None, None, 0.0)] if newest_id else []
    return Published(frame, events)


def test_a_new_stream_begins_at_frame_0_and_track_1_in_an_epoch_of_its_own() -> None:
    found = resumption(None, Published(), NOW)
    assert (found.first_index, found.next_id, found.problem) == (0, 1, "")
    assert found.epoch == 1_003_000, "the Unix time in milliseconds"
    assert found.tracker is None and found.previous == found.queries == ()


def test_a_stream_goes_on_after_the_last_result_in_the_same_epoch() -> None:
    found = resumption(SNAPSHOT, published(130, track(4)), NOW)
    assert (found.epoch, found.first_index, found.next_id) == (RECORD.epoch, 131, 5)
    assert (found.tracker, found.queries, found.problem) == (b"memories", RECORD.queries, "")
    assert found.previous == (track(4),)


def test_a_result_before_the_snapshot_does_not_take_numbers_back() -> None:
    """A result that was tracked, and not written when the process died."""
    found = resumption(SNAPSHOT, published(97, track(2)), NOW)
    assert (found.epoch, found.first_index, found.next_id) == (RECORD.epoch, 101, 5)


def test_ids_given_after_the_snapshot_are_not_given_again() -> None:
    assert resumption(SNAPSHOT, published(130, track(8)), NOW).next_id == 9
    assert resumption(SNAPSHOT, published(130, track(4), newest_id=11), NOW).next_id == 12, "begun and ended"


def test_tracks_that_have_ended_do_not_end_again() -> None:
    found = resumption(SNAPSHOT, published(130, track(3, TrackState.ENDED), track(4)), NOW)
    assert [one.track_id for one in found.previous] == [4]


def test_without_the_snapshot_the_numbers_go_on_in_a_new_epoch() -> None:
    found = resumption(None, published(130, track(8)), NOW, "The snapshot is damaged.")
    assert (found.first_index, found.next_id, found.tracker) == (131, 9, None)
    assert found.epoch > RECORD.epoch
    assert found.previous == (track(8),)
    assert found.problem == "The snapshot is damaged."


@pytest.mark.parametrize("known", [None, Published()], ids=["Redis is away", "Redis is empty"])
def test_without_results_the_tracks_go_on_in_a_new_epoch(known: Published | None) -> None:
    """What was given in the last second is not known."""
    found = resumption(SNAPSHOT, known, NOW)
    assert (found.first_index, found.next_id, found.tracker) == (101, 5, b"memories")
    assert found.epoch > RECORD.epoch


def test_results_of_another_epoch_make_a_new_one() -> None:
    found = resumption(SNAPSHOT, published(epoch=RECORD.epoch + 10), NOW)
    assert found.epoch > RECORD.epoch + 10
    assert found.first_index == 131


def test_a_snapshot_far_behind_the_results_makes_a_new_epoch() -> None:
    near, far = (published(101 + MAX_BEHIND + more) for more in (0, 1))
    assert resumption(SNAPSHOT, near, NOW).epoch == RECORD.epoch
    assert resumption(SNAPSHOT, far, NOW).epoch > RECORD.epoch


def test_tracks_of_an_old_snapshot_end_and_the_numbers_go_on() -> None:
    late = replace(NOW, up_s=50.0 + MAX_AGE_S + 1)
    found = resumption(SNAPSHOT, published(130, track(4)), late)
    assert found.tracker is None and "5 minutes old" in found.problem
    assert (found.epoch, found.first_index, found.next_id) == (RECORD.epoch, 131, 5)
    assert found.queries == RECORD.queries


@pytest.mark.parametrize("hour_s", [-3600.0, 3600.0])
def test_a_wall_clock_that_jumped_by_an_hour_changes_nothing(hour_s: float) -> None:
    jumped = replace(NOW, wall_s=NOW.wall_s + hour_s)
    here, there = (resumption(SNAPSHOT, published(130, track(4)), now) for now in (NOW, jumped))
    assert [getattr(here, name) == getattr(there, name) for name in here.__slots__] == [True] * 7
    assert resumption(None, published(130), jumped).epoch > RECORD.epoch, "an epoch only grows"


def test_a_state_that_was_too_large_is_said() -> None:
    found = resumption(replace(SNAPSHOT, tracker=b""), published(), NOW)
    assert found.tracker is None and "too large" in found.problem
