"""What a tracker knows of its stream, and its form as bytes: a worker's death loses no object's looks.

The bytes are a safetensors file: the bank's rows in use, the pinned pictures with the masks seen on them, and
a JSON header as one more array, which names the schema. No pickle: what is read is checked, never run.
Features of pins are not kept; they follow from their pictures.
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
from engines.tracking.lifecycle import Life
from engines.tracking.network import Levels
from streaming.errors import InvalidMessage
from streaming.vocabulary import Pixels, QueryId, TrackId, TrackState

SCHEMA: Final = "saccade.tracker/1"
Arrays = dict[str, NDArray[Any]]
_HEADER, _BANK = "header", "bank."


@dataclass(slots=True, eq=False)
class Followed:
    """One track; its place in the tracker's list is its row in the bank."""

    track_id: TrackId
    query_id: QueryId
    revision: int
    phrase: str
    keyframe_index: int
    life: Life = field(default_factory=Life)
    misses: int = 0


@dataclass(slots=True, eq=False)
class Look:
    """One frame as it was tracked; kept when it is pinned."""

    frame_index: int
    step: int
    picture: Pixels
    "(S, S, 3)"
    levels: Levels | None = None
    "None where nobody needed them."
    masks: dict[TrackId, BoolMask | None] = field(default_factory=dict)
    "Masks of the tracks alive then, at the size of the logits; None where not visible."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackerState:
    """Everything that the next frames of a stream depend on."""

    fingerprint: str
    "Of the weights and graphs that made the memories."
    steps: int
    next_id: int
    followed: Sequence[Followed]
    ended: Sequence[Followed]
    "Tracks whose end has not been reported yet."
    pins: Sequence[Look]
    "Oldest first."
    revisions: Mapping[QueryId, int]
    released: Mapping[QueryId, int]
    rivals: Sequence[Sequence[int]]
    "Pairs of tracks that follow different things."
    bank: Mapping[str, NDArray[Any]]
    "As `MemoryBank.export` gives it."


def to_bytes(state: TrackerState) -> bytes:
    """The state in the form of `SCHEMA`."""
    header = {
        "schema": SCHEMA,
        "fingerprint": state.fingerprint,
        "steps": state.steps,
        "next_id": state.next_id,
        "followed": [asdict(one) for one in state.followed],
        "ended": [asdict(one) for one in state.ended],
        "pins": [_pin_header(pin) for pin in state.pins],
        "revisions": dict(state.revisions),
        "released": dict(state.released),
        "rivals": [list(pair) for pair in state.rivals],
    }
    arrays: Arrays = {_HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
    arrays.update({_BANK + name: np.ascontiguousarray(array) for name, array in state.bank.items()})
    for place, pin in enumerate(state.pins):
        arrays[f"pin.{place}.picture"] = pin.picture
        for track_id, mask in pin.masks.items():
            if mask is not None:
                arrays[f"pin.{place}.mask.{track_id}"] = np.ascontiguousarray(mask)
    return bytes(save(arrays))


def from_bytes(data: bytes) -> TrackerState:
    """What `to_bytes` wrote. Raises InvalidMessage where it did not, or another version of it did."""
    try:
        arrays: Arrays = load(data)
        header = json.loads(arrays[_HEADER].tobytes())
        if header["schema"] != SCHEMA:
            raise InvalidMessage(f"A tracker's memory of schema {header['schema']}, not {SCHEMA}.")
        return TrackerState(
            fingerprint=str(header["fingerprint"]),
            steps=int(header["steps"]),
            next_id=int(header["next_id"]),
            followed=[_followed(one) for one in header["followed"]],
            ended=[_followed(one) for one in header["ended"]],
            pins=[_pin(one, place, arrays) for place, one in enumerate(header["pins"])],
            revisions={QueryId(query): int(value) for query, value in header["revisions"].items()},
            released={QueryId(query): int(value) for query, value in header["released"].items()},
            rivals=[[int(track) for track in pair] for pair in header["rivals"]],
            bank={name.removeprefix(_BANK): a for name, a in arrays.items() if name.startswith(_BANK)},
        )
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise InvalidMessage(f"These bytes are no tracker's memory: {exc}.") from exc


def _followed(said: dict[str, Any]) -> Followed:
    life = said.pop("life")
    return Followed(life=Life(TrackState(life.pop("state")), **life), **said)


def _pin_header(pin: Look) -> dict[str, Any]:
    return {"frame_index": pin.frame_index, "step": pin.step, "tracks": list(pin.masks)}


def _pin(said: dict[str, Any], place: int, arrays: Arrays) -> Look:
    masks = {TrackId(int(one)): arrays.get(f"pin.{place}.mask.{one}") for one in said["tracks"]}
    picture = arrays[f"pin.{place}.picture"].copy()  # writable, as the runtimes want it
    return Look(int(said["frame_index"]), int(said["step"]), picture, masks=masks)
