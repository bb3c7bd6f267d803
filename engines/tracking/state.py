"""The state of a tracker, and its serialised form, with which another worker can continue the stream.

The bytes are a safetensors file: the memory bank's rows in use, the pinned images with the masks of their
tracks, and as one more array a JSON header, which names the schema. There is no pickle; what is read is
validated and never executed. Features of pinned frames are not stored: they follow from the images.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from engines.tracking.association import BoolMask
from engines.tracking.lifecycle import Lifecycle
from engines.tracking.network import FeatureLevels
from streaming.errors import InvalidMessage
from streaming.vocabulary import Pixels, QueryId, TrackId, TrackState

SCHEMA: Final = "saccade.tracker/2"
Arrays = dict[str, NDArray[Any]]
_HEADER, _BANK = "header", "bank."


@dataclass(slots=True, eq=False)
class TrackedObject:
    """One track. Its index in the tracker's list is its batch row in the memory bank."""

    track_id: TrackId
    query_id: QueryId
    revision: int
    phrase: str
    keyframe_index: int
    life: Lifecycle = field(default_factory=Lifecycle)
    misses: int = 0
    "Consecutive answers without a mask for it although it was visible."


@dataclass(slots=True, eq=False)
class FrameFeatures:
    """One tracked frame: its image, features and masks. Kept as long as it is pinned."""

    frame_index: int
    step: int
    image: Pixels
    "(S, S, 3) uint8 RGB, the frame resized to the model's input."
    levels: FeatureLevels | None = None
    "None until the features are needed."
    masks: dict[TrackId, BoolMask | None] = field(default_factory=dict)
    "Masks of the tracks alive then, at the size of the logits; None where not visible."


@dataclass(slots=True)
class TrackerCounts:
    """What a tracker has left out since it was made."""

    refused_objects: int = 0
    "No batch row was free."
    ignored_answers: int = 0
    "The pin had expired, the query had a newer revision, or it was released."
    refused_prompts: int = 0
    "Masks that are empty or have a wrong shape; clicks without points or with too many."
    unsound_rows: int = 0
    "Objects on a frame whose numbers were not finite."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackerState:
    """Everything that the tracks of the next frames depend on."""

    fingerprint: str
    "Of the weights and graphs that wrote the memories."
    steps: int
    next_id: int
    objects: Sequence[TrackedObject]
    ended: Sequence[TrackedObject]
    "Tracks whose end has not been reported yet."
    pins: Sequence[FrameFeatures]
    "Oldest first."
    revisions: Mapping[QueryId, int]
    "Newest revision of each query."
    released: Mapping[QueryId, int]
    "Step at which each query was released."
    non_overlapping: Sequence[Sequence[int]]
    "Pairs of track ids that follow distinct objects."
    bank: Mapping[str, NDArray[Any]]
    "See `MemoryBank.export`."


def to_bytes(state: TrackerState) -> bytes:
    """Serialise a state in the form of `SCHEMA`."""
    header = {
        "schema": SCHEMA,
        "fingerprint": state.fingerprint,
        "steps": state.steps,
        "next_id": state.next_id,
        "objects": [asdict(track) for track in state.objects],
        "ended": [asdict(track) for track in state.ended],
        "pins": [_pin_header(pin) for pin in state.pins],
        "revisions": dict(state.revisions),
        "released": dict(state.released),
        "non_overlapping": [list(pair) for pair in state.non_overlapping],
    }
    arrays: Arrays = {_HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
    arrays.update({_BANK + name: np.ascontiguousarray(array) for name, array in state.bank.items()})
    for number, pin in enumerate(state.pins):
        arrays[f"pin.{number}.image"] = pin.image
        for track_id, mask in pin.masks.items():
            if mask is not None:
                arrays[f"pin.{number}.mask.{track_id}"] = np.ascontiguousarray(mask)
    return bytes(save(arrays))


def from_bytes(data: bytes) -> TrackerState:
    """Parse the output of `to_bytes`. Raises InvalidMessage for anything else and for other schemas."""
    try:
        arrays: Arrays = load(data)
        header = json.loads(arrays[_HEADER].tobytes())
        if header["schema"] != SCHEMA:
            raise InvalidMessage(f"The tracker state has schema {header['schema']}, not {SCHEMA}.")
        return TrackerState(
            fingerprint=str(header["fingerprint"]),
            steps=int(header["steps"]),
            next_id=int(header["next_id"]),
            objects=[_tracked_object(entry) for entry in header["objects"]],
            ended=[_tracked_object(entry) for entry in header["ended"]],
            pins=[_pin(entry, number, arrays) for number, entry in enumerate(header["pins"])],
            revisions={QueryId(query): int(value) for query, value in header["revisions"].items()},
            released={QueryId(query): int(value) for query, value in header["released"].items()},
            non_overlapping=[[int(track) for track in pair] for pair in header["non_overlapping"]],
            bank={name.removeprefix(_BANK): a for name, a in arrays.items() if name.startswith(_BANK)},
        )
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise InvalidMessage(f"These bytes are no tracker state: {exc}.") from exc


def _tracked_object(entry: dict[str, Any]) -> TrackedObject:
    life = entry.pop("life")
    return TrackedObject(life=Lifecycle(TrackState(life.pop("state")), **life), **entry)


def _pin_header(pin: FrameFeatures) -> dict[str, Any]:
    return {"frame_index": pin.frame_index, "step": pin.step, "tracks": list(pin.masks)}


def _pin(entry: dict[str, Any], number: int, arrays: Arrays) -> FrameFeatures:
    masks = {TrackId(int(track)): arrays.get(f"pin.{number}.mask.{track}") for track in entry["tracks"]}
    image = arrays[f"pin.{number}.image"].copy()  # writable, as the runtimes require
    return FrameFeatures(int(entry["frame_index"]), int(entry["step"]), image, masks=masks)
