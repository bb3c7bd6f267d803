"""What is stored is what was meant, and nothing else passes for it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco

from streaming import wire
from streaming.errors import InvalidMessage
from streaming.events import AnswerReport, ErrorReport, Event, EventType, TrackSummary, WordsReport
from streaming.vocabulary import (
    Clock,
    FrameResult,
    GroundSeconds,
    Latency,
    MaskRle,
    Query,
    QueryId,
    QueryKind,
    StreamId,
    StreamSpec,
    Track,
    TrackId,
    TrackState,
)

GATE = StreamId("gate")
PIXELS = np.zeros((36, 64), dtype=np.uint8)
PIXELS[10:20, 30:50] = 1
RLE = coco.encode(np.asfortranarray(PIXELS))
TRACK = Track(
    TrackId(3),
    QueryId("q1"),
    2,
    "the “red” car",
    TrackState.ACTIVE,
    0.1 + 0.2,
    (30.0, 10.0, 50.0, 20.0),
    MaskRle((36, 64), RLE["counts"].decode()),
    7,
)
LOST = Track(TrackId(4), QueryId("q1"), 1, "", TrackState.LOST, 0.0, None, None, 0)
FRAME = FrameResult(
    GATE,
    frame_index=9,
    pts_s=0.36,
    captured_s=1_795_223_015.546,
    clock=Clock.RTCP,
    published_s=1_795_223_015.57,
    width=64,
    height=36,
    dropped=1,
    latency_s=Latency(decode=0.001, track=0.015, total=0.024),
    tracks=(TRACK, LOST),
)
SUMMARY = TrackSummary(TrackId(3), QueryId("q1"), 2, "car", TrackState.ACTIVE, 0.5, None, 7)
MESSAGES: list[wire.Message] = [
    FRAME,
    Event(EventType.UPDATE, GATE, TrackId(3), SUMMARY, SUMMARY, 1.5),
    Event(EventType.NEW, GATE, TrackId(3), None, SUMMARY, 1.5),
    AnswerReport(GATE, QueryId("q1"), 1, 4, "Sure, [SEG].", 0.93, 2.5, 0.21),
    AnswerReport(GATE, QueryId("q1"), 1, 4, "Zwei Autos.", None, 2.5),
    AnswerReport(
        GATE, QueryId("q1"), 1, 4, "Two.", None, 2.5, None, 0.3, GroundSeconds(0.1, 0.05, 0.2, 0.05), "nano"
    ),
    WordsReport(GATE, QueryId("q1"), 1, 4, "There are", 2.25),
    ErrorReport(GATE, "source_stalled", "No picture for 3 s.", "Check the camera.", 3.0),
    StreamSpec(GATE, "rtsp://user:pass@camera.example/1"),
    Query(QueryId("q1"), GATE, "das rote Auto 🚗", QueryKind.ASK, 3, 1.25),
    Query(QueryId("q1"), GATE, "was ist das?", QueryKind.ASK, region=(0.25, 0.5, 0.25, 0.5)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_decoded_is_what_was_encoded(message: wire.Message) -> None:
    assert wire.decode(type(message), wire.encode(message)) == message


def test_a_frame_has_the_documented_fields_in_their_order() -> None:
    whole = json.loads(wire.encode(FRAME))
    assert list(whole) == [
        "schema",
        "stream_id",
        "frame_index",
        "pts_s",
        "captured_s",
        "clock",
        "published_s",
        "width",
        "height",
        "dropped",
        "latency_s",
        "tracks",
    ]
    assert whole["schema"] == "saccade.frame/1"
    assert whole["clock"] == "rtcp"
    assert list(whole["latency_s"]) == ["decode", "track", "total"]
    assert list(whole["tracks"][0]) == [
        "track_id",
        "query_id",
        "revision",
        "phrase",
        "state",
        "score",
        "box_px",
        "mask",
        "keyframe_index",
    ]
    assert whole["tracks"][0]["box_px"] == [30.0, 10.0, 50.0, 20.0]
    assert whole["tracks"][1]["mask"] is None


def test_a_mask_from_the_wire_is_read_by_pycocotools() -> None:
    rle = json.loads(wire.encode(FRAME))["tracks"][0]["mask"]
    assert np.array_equal(coco.decode(rle), PIXELS)


def test_every_schema_names_its_version() -> None:
    schemas = [json.loads(wire.encode(message))["schema"] for message in MESSAGES]
    assert set(schemas) == {
        f"saccade.{kind}/1" for kind in ["frame", "event", "answer", "words", "error", "stream", "query"]
    }


def changed(**fields: object) -> bytes:
    return json.dumps({**json.loads(wire.encode(FRAME)), **fields}).encode()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "found None"),
        (b"[" * 100_000, "not JSON"),
        (wire.encode(MESSAGES[1]), "found 'saccade.event/1'"),
        (changed(schema="saccade.frame/2"), "found 'saccade.frame/2'"),
        (changed(frame_index="9"), "frame_index"),
        (changed(frame_index=None), "frame_index"),
        (changed(clock="sundial"), "clock"),
        (changed(latency_s={"decode": 1.0}), "latency_s.track"),
        (changed(tracks=[{"track_id": 1}]), "tracks.0"),
        (changed(captured_s=float("nan")), "NaN is not JSON"),
    ],
)
def test_what_is_not_a_frame_is_refused_with_its_fault(data: bytes, fault: str) -> None:
    with pytest.raises(InvalidMessage, match="(?s).*" + fault.replace(".", r"\.")) as refused:
        wire.decode(FrameResult, data)
    assert len(str(refused.value)) < 300


def test_a_field_that_a_later_writer_adds_is_skipped() -> None:
    assert wire.decode(FrameResult, changed(weather="sunny")) == FRAME


def test_what_json_cannot_say_is_our_bug() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        wire.encode(ErrorReport(GATE, "error", "", "", at_s=float("nan")))
