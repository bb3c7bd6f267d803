"""Every event of a track is reported once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from streaming.errors import SourceStalled
from streaming.events import Event, EventType, answer_report, error_report, events_between, summary
from streaming.vocabulary import (
    Answer,
    GroundSeconds,
    MaskRle,
    QueryId,
    SegPrompt,
    StreamId,
    Track,
    TrackId,
    TrackState,
)

GATE = StreamId("gate")
CAR = Track(
    TrackId(1), QueryId("q1"), 1, "car", TrackState.ACTIVE, 0.9, (0, 0, 4, 4), MaskRle((4, 4), "0@"), 0
)


def between(previous: list[Track], current: list[Track]) -> list[Event]:
    return list(events_between(previous, current, GATE, at_s=5.0))


def test_a_track_first_seen_is_new() -> None:
    assert between([], [CAR]) == [Event(EventType.NEW, GATE, TrackId(1), None, summary(CAR), 5.0)]


def test_movement_alone_is_no_event() -> None:
    assert between([CAR], [replace(CAR, score=0.5, box_px=(1, 1, 5, 5), keyframe_index=8)]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"state": TrackState.OCCLUDED},
        {"query_id": QueryId("q2")},
        {"revision": 2},
        {"phrase": "van"},
    ],
)
def test_a_change_of_identity_or_state_is_an_update(change: dict[str, object]) -> None:
    after = replace(CAR, **change)  # type: ignore[arg-type]
    assert between([CAR], [after]) == [
        Event(EventType.UPDATE, GATE, TrackId(1), summary(CAR), summary(after), 5.0)
    ]


def test_a_track_ends_once() -> None:
    ended = replace(CAR, state=TrackState.ENDED, mask=None, box_px=None)
    assert [event.type for event in between([CAR], [ended])] == [EventType.END]
    assert between([ended], []) == []
    assert between([ended], [ended]) == []


def test_a_track_that_is_not_mentioned_any_more_has_ended() -> None:
    assert between([CAR], []) == [Event(EventType.END, GATE, TrackId(1), summary(CAR), None, 5.0)]


def test_a_track_that_ended_unseen_makes_no_event() -> None:
    assert between([], [replace(CAR, state=TrackState.ENDED)]) == []


def test_an_answer_report_has_the_highest_presence() -> None:
    embedding = np.zeros(4, dtype=np.float32)
    prompts = tuple(SegPrompt("car", embedding, presence) for presence in (0.25, 0.75))
    logits = np.zeros((2, 4, 4), dtype=np.float32)
    answer = Answer(GATE, QueryId("q1"), 2, 7, "Sure, [SEG].", prompts, logits)
    report = answer_report(answer, at_s=1.0, prompt_to_mask_s=0.2)
    assert (report.presence, report.text, report.revision, report.prompt_to_mask_s) == (
        0.75,
        "Sure, [SEG].",
        2,
        0.2,
    )
    assert answer_report(replace(answer, prompts=(), logits=logits[:0]), at_s=1.0).presence is None


def test_an_answer_report_has_the_model_and_the_durations() -> None:
    steps = GroundSeconds(wait=0.5, look=0.1, read=0.2, draw=0.05)
    nothing = np.zeros((0, 4, 4), dtype=np.float32)
    answer = Answer(GATE, QueryId("q1"), 2, 7, "Two.", (), nothing, 0.35, steps, "nano")
    report = answer_report(answer, at_s=1.0)
    assert (report.ground_s, report.steps_s, report.model) == (0.35, steps, "nano")


def test_an_error_report_has_code_and_remedy() -> None:
    report = error_report(GATE, SourceStalled("No picture for 3 s.", remedy="Check the camera."), at_s=2.0)
    assert (report.code, report.message, report.remedy) == (
        "source_stalled",
        "No picture for 3 s.",
        "Check the camera.",
    )
