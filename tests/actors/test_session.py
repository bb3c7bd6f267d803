"""A stream session with small real engines and a clock that the test sets."""

import numpy as np
import pytest

from actors.resumption import Published, Resumption, resumption
from actors.session import EARLIER_PX, StreamSession
from actors.stream_snapshot import StoredSnapshot
from streaming.errors import TracksLost
from streaming.events import EventType
from streaming.moment import Moment, StoredMoment
from streaming.status import QueryState
from streaming.vocabulary import Keyframe, Pixels, Query, QueryId, QueryKind, StreamId, TrackState
from tests.doubles import (
    BLUE,
    RED,
    ColourGrounder,
    ColourTracker,
    frame_of,
    square_image,
)

STREAM = StreamId("s")


class Line:
    """A session whose keyframes the test answers, with a clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.wall_ahead_s = 0.0
        "Of the monotonic clock: a test that changes it sets the wall clock."
        self.asked: list[Keyframe] = []
        self.tracker = ColourTracker()
        self.grounder = ColourGrounder()
        self.session = StreamSession(STREAM, self.tracker, self.asked.append, self.clock)
        self.index = -1

    def clock(self) -> Moment:
        return Moment(self.now_s + self.wall_ahead_s, self.now_s)

    def want(self, *queries: tuple[str, str, int]) -> None:
        self.session.set_queries(
            [
                Query(QueryId(key), STREAM, text, revision=revision, accepted_s=self.clock().wall_s)
                for key, text, revision in queries
            ]
        )

    def step(self, *, rgb: tuple[int, int, int] = RED, dropped: int = 0):
        self.index += 1
        self.now_s += 1 / 30
        return self.session.step(frame_of(square_image((20 + self.index % 30, 20), rgb), self.index), dropped)

    def answer(self) -> None:
        for keyframe in self.asked:
            self.session.submit_answers(self.grounder.ground(keyframe))
        self.asked.clear()


def test_without_queries_frames_have_results_and_no_keyframe_is_sent() -> None:
    line = Line()
    report = line.step(dropped=3)
    assert (report.result.tracks, report.result.dropped, report.result.width) == ((), 3, 64)
    assert line.asked == []


def test_memory_is_committed_after_the_step_by_its_own_call() -> None:
    line = Line()
    line.step()
    assert line.tracker.committed == 0
    line.session.commit_memory()
    assert line.tracker.committed == 1


def test_a_new_query_is_asked_on_the_next_frame_which_is_pinned() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    assert [keyframe.frame.index for keyframe in line.asked] == [0]
    assert line.tracker.pins == [0]


def test_a_keyframe_has_frames_from_about_0_9_and_0_3_s_before_the_query_was_added() -> None:
    line = Line()
    for _ in range(40):
        line.step()
    line.want(("q", "the red square", 1))
    line.step()
    furthest, nearest = (_centre_x(pixels) for pixels in line.asked[0].earlier)
    assert line.index == 40
    assert 20 + 13 - 5 <= furthest <= 20 + 13 + 2, "27 frames before, frame 13"
    assert nearest in (20 + 29, 20, 21, 22, 23), "9 frames before, frame 31: the square is back at its start"


def test_the_first_frame_of_a_stream_has_no_earlier_frames() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    assert line.asked[0].earlier == ()


def test_earlier_frames_are_resized_to_448_px_at_most() -> None:
    line = Line()
    pixels = np.full((720, 1280, 3), 90, np.uint8)
    for index in range(0, 36, 3):
        line.session.step(frame_of(pixels, index), 0)
    line.want(("q", "the red square", 1))
    line.session.step(frame_of(pixels, 36), 0)
    assert [pixels.shape for pixels in line.asked[0].earlier] == [(252, EARLIER_PX, 3)] * 2


def test_planned_objects_are_those_tracked_and_the_masks_of_answers_taken_in() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    assert line.session.planned_objects == 0
    line.answer()
    line.step()
    assert line.session.planned_objects == 1, "the answer's mask"
    line.step()
    assert line.session.planned_objects == 1, "the track"
    line.want()
    line.step()
    line.step()
    assert line.session.planned_objects == 0


@pytest.mark.parametrize("late", [0, 1, 7])
def test_an_answer_k_frames_late_gives_a_mask_on_the_current_frame(late: int) -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    for _ in range(late):
        assert line.step().result.tracks == ()
    line.answer()
    report = line.step()
    (track,) = report.result.tracks
    assert track.keyframe_index == 0
    assert track.box_px is not None and track.box_px[0] == 20 + line.index - 8
    assert report.prompt_to_mask_s == pytest.approx([(late + 2) / 30])
    assert [event.type for event in report.events] == [EventType.NEW]
    assert [answer.prompt_to_mask_s for answer in report.answers] == pytest.approx([(late + 2) / 30])


def test_a_frame_never_waits_for_the_grounder() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    results = [line.step().result.frame_index for _ in range(20)]
    assert results == list(range(20))


def test_an_absent_object_gives_an_answer_and_no_mask() -> None:
    line = Line()
    line.want(("q", "the blue square", 1))
    line.step()
    line.answer()
    report = line.step()
    assert report.result.tracks == ()
    assert [answer.text for answer in report.answers] == ["I cannot see the blue square."]
    (status,) = line.session.query_statuses()
    assert (status.state, status.presence) == (QueryState.ABSENT, None)


def test_an_absent_object_is_found_when_it_appears() -> None:
    line = Line()
    line.want(("q", "the blue square", 1))
    for _ in range(60):
        report = line.step(rgb=RED)
        line.answer()
    assert report.result.tracks == ()
    for _ in range(75):
        report = line.step(rgb=BLUE)
        line.answer()
    assert [track.state for track in report.result.tracks] == [TrackState.ACTIVE]


def test_an_edit_keeps_the_track_until_the_new_answer_and_its_id_after() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    line.answer()
    before = line.step().result.tracks
    line.want(("q", "the red object", 2))
    meanwhile = line.step().result.tracks
    assert [(track.track_id, track.revision) for track in meanwhile] == [(before[0].track_id, 1)]
    line.answer()
    after = line.step().result.tracks
    assert [(track.track_id, track.revision) for track in after] == [(before[0].track_id, 2)]


def test_an_answer_to_an_old_revision_is_dropped() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    old = line.asked.pop()
    line.want(("q", "the blue square", 2))
    line.step()
    line.session.submit_answers(line.grounder.ground(old))
    assert line.step().result.tracks == ()


def test_a_failure_of_an_old_revision_does_not_delay_the_new_one() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    old = line.asked.pop()
    line.want(("q", "the red object", 2))
    line.step()
    line.session.submit_failures(old.queries, old.asked_s)
    line.step()
    assert [keyframe.queries[0].revision for keyframe in line.asked] == [2]


def test_a_removed_query_ends_its_track_once() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    line.answer()
    line.step()
    line.want()
    report = line.step()
    assert [track.state for track in report.result.tracks] == [TrackState.ENDED]
    assert [event.type for event in report.events] == [EventType.END]
    assert line.step().result.tracks == ()


def test_a_failed_question_is_shown_as_failed_and_asked_again() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    failed = line.asked.pop()
    line.session.submit_failures(failed.queries, failed.asked_s)
    line.step()
    assert [status.state for status in line.session.query_statuses()] == [QueryState.FAILED]
    for _ in range(15):
        line.step()
    line.answer()
    assert len(line.step().result.tracks) == 1


def test_a_failure_of_a_replaced_question_is_ignored() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    while len(line.asked) < 2:
        line.step()
    older, newer = line.asked
    line.session.submit_failures(older.queries, older.asked_s)
    for _ in range(30):
        line.step()
    assert line.asked == [older, newer]
    assert [status.state for status in line.session.query_statuses()] == [QueryState.PENDING]


def test_after_a_failed_step_a_reset_session_asks_again() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    line.answer()
    (before,) = line.step().result.tracks
    with pytest.raises(RuntimeError, match="black"):
        line.session.step(frame_of(square_image((0, 0)) * 0, 99), 0)
    line.session.reset()
    assert line.step().result.tracks == ()
    line.answer()
    (after,) = line.step().result.tracks
    assert after.track_id > before.track_id, "track ids are never reused"


def test_the_inbox_is_bounded() -> None:
    line = Line()
    line.want(("q", "the red square", 1))
    line.step()
    answers = line.grounder.ground(line.asked[0])
    for _ in range(1_000):
        line.session.submit_answers(answers)
    assert len(line.session._inbox) <= 64


def test_latencies_are_measured_from_capture_to_publication() -> None:
    line = Line()
    result = line.step().result
    assert result.latency_s.total == pytest.approx(result.published_s - result.captured_s)


def _centre_x(pixels: Pixels) -> int:
    """Return the x of the red square's centre, pixels."""
    return int(np.flatnonzero((pixels[:, :, 0] > 200).any(axis=0)).mean().round())


RED_SQUARE, RED_THING, RED_OBJECT = (
    Query(QueryId(key), STREAM, f"the red {thing}")
    for key, thing in (("q", "square"), ("p", "thing"), ("r", "object"))
)


def followed() -> tuple[Line, Published]:
    """Return a line that follows two objects with ids 7 and 8, and what it has published."""
    line = Line()
    line.session.resume(Resumption(epoch=44, next_id=7))
    line.session.set_queries([RED_SQUARE, RED_THING])
    line.step()
    line.answer()
    result = line.step().result
    assert [track.track_id for track in result.tracks] == [7, 8]
    return line, Published(result)


def restarted(before: Line, published: Published, *, weights: str = "colours") -> tuple[Line, str]:
    """Return a line that goes on with a stream as another process does, and why its tracks are lost."""
    line, problem = Line(), ""
    line.now_s, line.index = 7000.0, before.index
    line.tracker.weights = weights
    snapshot = before.session.snapshot()
    assert snapshot is not None
    data = StoredSnapshot(snapshot.record, b"".join(snapshot.tracker.to_chunks()))
    try:
        line.session.resume(resumption(data, published, StoredMoment.now()))
    except TracksLost as exc:
        problem = exc.message
    return line, problem


def test_a_resumed_session_keeps_ids_epoch_and_frame_indices() -> None:
    before, published = followed()
    line, problem = restarted(before, published)
    assert problem == ""
    line.session.set_queries([RED_SQUARE, RED_THING])
    report = line.step()
    assert (report.result.epoch, report.result.frame_index) == (44, before.index + 1)
    assert [track.track_id for track in report.result.tracks] == [7, 8]
    assert report.events == () and report.prompt_to_mask_s == ()
    assert len(line.asked[0].queries) == 2, "asked at once: the objects may have moved"
    line.answer()
    assert [track.track_id for track in line.step().result.tracks] == [7, 8]


def test_an_object_found_after_the_restart_has_a_new_id() -> None:
    line, _ = restarted(*followed())
    line.session.set_queries([RED_SQUARE, RED_THING, RED_OBJECT])
    line.step()
    line.answer()
    assert [track.track_id for track in line.step().result.tracks] == [7, 8, 9]


def test_tracks_of_a_query_removed_meanwhile_end() -> None:
    line, _ = restarted(*followed())
    line.session.set_queries([RED_THING])
    report = line.step()
    ended = [(event.type, event.track_id, event.epoch) for event in report.events]
    assert ended == [(EventType.END, 7, 44)]
    assert [track.track_id for track in line.step().result.tracks] == [8]


def test_before_the_queries_come_the_tracks_go_on() -> None:
    line, _ = restarted(*followed())
    assert [track.track_id for track in line.step().result.tracks] == [7, 8]


def test_a_snapshot_of_other_weights_is_refused_its_tracks_end_and_ids_go_on_above() -> None:
    line, problem = restarted(*followed(), weights="others")
    assert "other weights" in problem
    line.session.set_queries([RED_SQUARE])
    ended = [(event.type, event.track_id) for event in line.step().events]
    assert ended == [(EventType.END, 7), (EventType.END, 8)]
    line.answer()
    assert [track.track_id for track in line.step().result.tracks] == [9]


def test_a_text_that_was_answered_before_is_not_asked_again() -> None:
    before = Line()
    ask = Query(QueryId("a"), STREAM, "is there something red?", QueryKind.ASK)
    before.session.set_queries([ask])
    before.step()
    before.answer()
    result = before.step().result
    line, _ = restarted(before, Published(result))
    line.session.set_queries([ask])
    line.step()
    assert line.asked == []
    assert [status.answer for status in line.session.query_statuses()] == ["Sure, [SEG]."]


def test_a_snapshot_is_made_only_when_something_changed() -> None:
    line = Line()
    line.step()
    assert line.session.snapshot() is not None, "the first: its numbers"
    line.step()
    assert line.session.snapshot() is None
    line.want(("q", "the red square", 1))
    line.step()
    assert line.session.snapshot() is not None
    line.answer()
    line.step()
    assert line.session.snapshot() is not None


@pytest.mark.parametrize("hour_s", [-3600.0, 3600.0])
def test_a_wall_clock_that_jumps_by_an_hour_changes_no_behaviour(hour_s: float) -> None:
    """When queries are asked, which tracks there are, how long things took."""

    def seen(jump_s: float) -> list[tuple[object, ...]]:
        line, history = Line(), []
        line.want(("q", "the red square", 1), ("b", "the blue square", 1))
        for frame in range(240):
            if frame == 90:
                line.wall_ahead_s = jump_s
            if frame == 150:
                line.want(("q", "the red object", 2), ("b", "the blue square", 1))
            report = line.step()
            ids = [(track.track_id, track.revision, track.state) for track in report.result.tracks]
            asked = [(keyframe.frame.index, len(keyframe.queries)) for keyframe in line.asked]
            history.append((ids, asked, report.prompt_to_mask_s, report.result.latency_s.track))
            line.answer()
        assert sum(len(asked) for _, asked, *_ in history[91:]) > 4
        return history

    before, after = seen(0.0), seen(hour_s)
    assert [one[:2] + one[3:] for one in before] == [one[:2] + one[3:] for one in after]
    assert [one[2] for one in after] == [pytest.approx(one[2]) for one in before]
