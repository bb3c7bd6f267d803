"""Messages survive encoding and decoding; anything else is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco

from streaming import wire
from streaming.errors import InvalidMessage
from streaming.events import AnswerReport, ErrorReport, Event, EventType, PartialAnswerReport, TrackSummary
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
    clock=Clock.ARRIVAL,
    assembled_s=1_795_223_015.569,
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
    PartialAnswerReport(GATE, QueryId("q1"), 1, 4, "There are", 2.25),
    ErrorReport(GATE, "source_stalled", "No picture for 3 s.", "Check the camera.", 3.0),
    StreamSpec(GATE, "rtsp://user:pass@camera.example/1"),
    Query(QueryId("q1"), GATE, "das rote Auto 🚗", QueryKind.ASK, 3, 1.25),
    Query(QueryId("q1"), GATE, "was ist das?", QueryKind.ASK, region=(0.25, 0.5, 0.25, 0.5)),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_decode_inverts_encode(message: wire.Message) -> None:
    assert wire.decode(type(message), wire.encode(message)) == message


def test_a_frame_has_the_documented_fields_in_order() -> None:
    whole = json.loads(wire.encode(FRAME))
    assert list(whole) == [
        "schema",
        "stream_id",
        "frame_index",
        "epoch",
        "pts_s",
        "captured_s",
        "clock",
        "assembled_s",
        "published_s",
        "width",
        "height",
        "dropped",
        "latency_s",
        "tracks",
    ]
    assert whole["schema"] == "saccade.frame/1"
    assert whole["clock"] == "arrival"
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


def test_a_decoded_mask_is_readable_by_pycocotools() -> None:
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
def test_data_that_is_not_a_frame_is_refused_naming_the_fault(data: bytes, fault: str) -> None:
    with pytest.raises(InvalidMessage, match="(?s).*" + fault.replace(".", r"\.")) as refused:
        wire.decode(FrameResult, data)
    assert len(str(refused.value)) < 300


def test_an_unknown_field_is_skipped() -> None:
    assert wire.decode(FrameResult, changed(weather="sunny")) == FRAME


def test_nan_raises_value_error() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        wire.encode(ErrorReport(GATE, "error", "", "", at_s=float("nan")))


def test_a_frame_without_assembled_s_of_an_older_release_is_decoded() -> None:
    fields = json.loads(wire.encode(FRAME))
    del fields["assembled_s"]
    assert wire.decode(FrameResult, json.dumps(fields)) == replace(FRAME, assembled_s=0.0)


TRAP = replace(TRACK, phrase='"published_s":1.0,"total":2.0}')


@pytest.mark.parametrize("result", [FRAME, replace(FRAME, tracks=(TRAP,))], ids=["plain", "trap"])
def test_parts_with_both_times_filled_in_are_the_encoded_frame(result: FrameResult) -> None:
    parts = wire.encode_parts(result)
    data = b"%b%f%b%f%b" % (parts.before, 5.5, parts.between, 0.25, parts.after)
    filled = replace(result, published_s=5.5, latency_s=replace(result.latency_s, total=0.25))
    assert wire.decode(FrameResult, data) == filled
    assert parts.times_in(data) == (5.5, 0.25)


def test_times_are_not_found_in_another_message() -> None:
    parts = wire.encode_parts(FRAME)
    for data in (b"", wire.encode(replace(FRAME, frame_index=10)), wire.encode(FRAME) + b" ", parts.before):
        assert parts.times_in(data) is None
    assert parts.times_in(parts.before + b"x" + parts.between + b"1" + parts.after) is None
