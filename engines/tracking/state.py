"""The state of a tracker, and its serialised form, with which another process can continue the stream.

The bytes are a safetensors file: the memories, the bank's other arrays, and as one more array a JSON header,
which names the schema. There is no pickle; what is read is validated and never executed. Pinned frames are
not stored: answers about them go to the process that pinned them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from engines.tracking.association import BoolMask
from engines.tracking.lifecycle import Lifecycle
from engines.tracking.memory_bank import BankSnapshot
from engines.tracking.network import FeatureLevels
from streaming.errors import InvalidMessage
from streaming.vocabulary import Pixels, QueryId, TrackId, TrackState

SCHEMA: Final = "saccade.tracker/3"
Arrays = dict[str, NDArray[Any]]
_HEADER, _BANK, _MEMORY = "header", "bank.", "memory."
_DTYPES: Final = {"float32": "F32", "int64": "I64", "uint8": "U8"}
"Names of dtypes in safetensors."


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
    """Everything that the tracks of the next frames depend on, but for pins. Nothing in it ever changes."""

    fingerprint: str
    "Of the weights and graphs that wrote the memories."
    steps: int
    next_id: int
    objects: Sequence[TrackedObject]
    revisions: Mapping[QueryId, int]
    "Newest revision of each query."
    non_overlapping: Sequence[Sequence[int]]
    "Pairs of track ids that follow distinct objects."
    bank: BankSnapshot

    @property
    def nbytes(self) -> int:
        """Size of the serialised arrays."""
        arrays = [*self.bank.arrays.values(), *self.bank.memories.values()]
        return sum(int(array.nbytes) for array in arrays)

    def to_chunks(self) -> list[bytes | memoryview]:
        """Serialise in the form of `SCHEMA`: consecutive parts, which refer to the memories without a copy.

        A join would hold the interpreter's lock while it copies up to 50 MB.
        """
        header = {
            "schema": SCHEMA,
            "fingerprint": self.fingerprint,
            "steps": self.steps,
            "next_id": self.next_id,
            "objects": [asdict(track) for track in self.objects],
            "revisions": dict(self.revisions),
            "non_overlapping": [list(pair) for pair in self.non_overlapping],
        }
        arrays: Arrays = {_HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
        arrays |= {_BANK + name: array for name, array in self.bank.arrays.items()}
        arrays |= {f"{_MEMORY}{row}.{slot}": array for (row, slot), array in self.bank.memories.items()}
        return _safetensors(arrays)


def from_bytes(data: bytes) -> TrackerState:
    """Parse joined chunks. Raises InvalidMessage for anything else and for other schemas."""
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
            revisions={QueryId(query): int(value) for query, value in header["revisions"].items()},
            non_overlapping=[[int(track) for track in pair] for pair in header["non_overlapping"]],
            bank=_bank(arrays),
        )
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise InvalidMessage(f"These bytes are no tracker state: {exc}.") from exc


def _tracked_object(entry: dict[str, Any]) -> TrackedObject:
    life = entry.pop("life")
    return TrackedObject(life=Lifecycle(TrackState(life.pop("state")), **life), **entry)


def _bank(arrays: Arrays) -> BankSnapshot:
    memories = {}
    for name, array in arrays.items():
        if name.startswith(_MEMORY):
            row, slot = name.removeprefix(_MEMORY).split(".")
            memories[int(row), int(slot)] = array
    small = {name.removeprefix(_BANK): a for name, a in arrays.items() if name.startswith(_BANK)}
    if "cond_count" not in small:
        raise KeyError("cond_count")
    return BankSnapshot(memories, small)


def _safetensors(arrays: Arrays) -> list[bytes | memoryview]:
    """Return a safetensors file in parts: the length of its header, the header, each array."""
    layout: dict[str, object] = {}
    chunks: list[bytes | memoryview] = []
    start = 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array).data.cast("B") if array.size else memoryview(b"")
        end = start + len(data)
        dtype = _DTYPES[array.dtype.name]
        layout[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [start, end]}
        chunks.append(data)
        start = end
    header = json.dumps(layout).encode()
    header += b" " * (-len(header) % 8)
    return [len(header).to_bytes(8, "little"), header, *chunks]
