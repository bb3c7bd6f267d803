"""The serialised tracker state: what is written is read back; other bytes are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from engines.tracking.lifecycle import Lifecycle
from engines.tracking.state import SCHEMA, FrameFeatures, TrackedObject, TrackerState, from_bytes, to_bytes
from streaming.errors import InvalidMessage
from streaming.vocabulary import QueryId, TrackId, TrackState


def some_state() -> TrackerState:
    rng = np.random.default_rng(0)
    masks = {TrackId(3): np.tri(8, dtype=np.bool_), TrackId(4): None}
    pin = FrameFeatures(17, 5, rng.integers(0, 255, (32, 32, 3), np.uint8), masks=masks)
    lost = Lifecycle(TrackState.LOST, 0, 77)
    return TrackerState(
        fingerprint="weights",
        steps=9,
        next_id=5,
        objects=[TrackedObject(TrackId(3), QueryId("q"), 2, "the „red“ one", 17, lost, 1)],
        ended=[TrackedObject(TrackId(4), QueryId("q"), 1, "", 2)],
        pins=[pin],
        revisions={QueryId("q"): 2},
        released={QueryId("gone"): 4},
        non_overlapping=[[3, 4]],
        bank={"memory": rng.normal(size=(1, 2, 3)).astype(np.float32), "recent_count": np.array([7])},
    )


def test_from_bytes_inverts_to_bytes() -> None:
    before, after = some_state(), from_bytes(to_bytes(some_state()))
    for name in ("fingerprint", "steps", "next_id", "revisions", "released", "non_overlapping"):
        assert getattr(after, name) == getattr(before, name)
    for one, other in zip([*before.objects, *before.ended], [*after.objects, *after.ended], strict=True):
        assert all(getattr(one, name) == getattr(other, name) for name in TrackedObject.__slots__)
    assert before.bank.keys() == after.bank.keys()
    assert all(np.array_equal(before.bank[name], after.bank[name]) for name in before.bank)
    (one,), (other,) = before.pins, after.pins
    assert (other.frame_index, other.step, other.levels) == (17, 5, None)
    assert np.array_equal(one.image, other.image)
    assert np.array_equal(other.masks[TrackId(3)], one.masks[TrackId(3)]) and other.masks[TrackId(4)] is None


def changed(**header_fields: object) -> bytes:
    arrays = load(to_bytes(some_state()))
    header = json.loads(arrays["header"].tobytes()) | header_fields
    return save(arrays | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no tracker state"),
        (b"\x80\x04pickled?", "no tracker state"),
        (to_bytes(some_state())[:-20], "no tracker state"),
        (save({"other": np.zeros(1)}), "no tracker state"),
        (changed(schema="saccade.tracker/1"), f"saccade.tracker/1, not {SCHEMA}"),
        (changed(steps="many"), "no tracker state"),
        (changed(objects=[{"track_id": 1}]), "no tracker state"),
        (changed(pins=[{"frame_index": 1, "step": 1, "tracks": []}] * 2), "no tracker state"),
    ],
)
def test_bytes_that_are_no_tracker_state_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidMessage, match=message):
        from_bytes(data)
