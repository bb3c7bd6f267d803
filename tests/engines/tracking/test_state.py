"""The serialised tracker state: what is written is read back; other bytes are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from engines.tracking.lifecycle import Lifecycle
from engines.tracking.memory_bank import BankSnapshot
from engines.tracking.state import SCHEMA, TrackedObject, TrackerState, from_bytes
from streaming.errors import InvalidMessage
from streaming.vocabulary import QueryId, TrackId, TrackState


def some_state() -> TrackerState:
    rng = np.random.default_rng(0)
    lost = Lifecycle(TrackState.LOST, 0, 77)
    memories = {(0, slot): rng.normal(size=(4, 3)).astype(np.float32) for slot in (0, 2)}
    return TrackerState(
        fingerprint="weights",
        steps=9,
        next_id=5,
        objects=[TrackedObject(TrackId(3), QueryId("q"), 2, "the „red“ one", 17, lost, 1)],
        revisions={QueryId("q"): 2},
        non_overlapping=[[3, 4]],
        bank=BankSnapshot(memories, {"cond_count": np.array([7]), "obj_ptr": np.ones((1, 2), np.float32)}),
    )


def some_bytes() -> bytes:
    return b"".join(some_state().to_chunks())


def test_from_bytes_inverts_the_joined_chunks() -> None:
    before, after = some_state(), from_bytes(some_bytes())
    for name in ("fingerprint", "steps", "next_id", "revisions", "non_overlapping"):
        assert getattr(after, name) == getattr(before, name)
    for one, other in zip(before.objects, after.objects, strict=True):
        assert all(getattr(one, name) == getattr(other, name) for name in TrackedObject.__slots__)
    for name in ("arrays", "memories"):
        arrays, read = getattr(before.bank, name), getattr(after.bank, name)
        assert arrays.keys() == read.keys()
        assert all(np.array_equal(arrays[key], read[key]) for key in arrays)


def test_a_state_without_objects_is_read_back() -> None:
    nothing = BankSnapshot({}, {"cond_count": np.zeros(0, np.int64)})
    state = TrackerState(
        fingerprint="w", steps=0, next_id=8, objects=[], revisions={}, non_overlapping=[], bank=nothing
    )
    after = from_bytes(b"".join(state.to_chunks()))
    assert (after.next_id, after.bank.rows, list(after.objects)) == (8, 0, [])


def test_the_memories_are_not_copied_into_the_chunks() -> None:
    state = some_state()
    (memory, *_) = state.bank.memories.values()
    assert any(np.shares_memory(memory, np.frombuffer(chunk, np.uint8)) for chunk in state.to_chunks())


def test_the_size_is_about_that_of_the_chunks() -> None:
    state = some_state()
    assert 0 < state.nbytes <= len(some_bytes()) <= state.nbytes + 2_000


def changed(**header_fields: object) -> bytes:
    arrays = load(some_bytes())
    header = json.loads(arrays["header"].tobytes()) | header_fields
    return save(arrays | {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no tracker state"),
        (b"\x80\x04pickled?", "no tracker state"),
        (some_bytes()[:-20], "no tracker state"),
        (save({"other": np.zeros(1)}), "no tracker state"),
        (changed(schema="saccade.tracker/1"), f"saccade.tracker/1, not {SCHEMA}"),
        (changed(steps="many"), "no tracker state"),
        (changed(objects=[{"track_id": 1}]), "no tracker state"),
        (save(load(some_bytes()) | {"memory.first": np.zeros(1)}), "no tracker state"),
        (save({"header": load(some_bytes())["header"]}), "no tracker state"),
    ],
)
def test_bytes_that_are_no_tracker_state_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidMessage, match=message):
        from_bytes(data)
