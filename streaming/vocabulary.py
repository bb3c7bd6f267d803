"""Every noun that crosses a room. Plain, frozen, numpy only: no torch, no Ray, no Redis.

The order of this file is the order of the line: a `Frame` comes in, a `Keyframe` goes out to
the grounder, an `Answer` (or a person's `Click`) comes back, `Track`s are published in a `FrameResult`.

Two clocks never mix: names ending in `_s` that hold a moment are Unix time in seconds
(`captured_s`, `published_s`, `accepted_s`); `pts_s` is the media's own time line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

import numpy as np
from numpy.typing import NDArray

StreamId = NewType("StreamId", str)
"""A camera or peer, chosen by the user: 1-64 characters of `[A-Za-z0-9._-]`."""

QueryId = NewType("QueryId", str)
"""A query for life; edits raise its revision, never its id."""

TrackId = NewType("TrackId", int)
"""One object through time on one stream, from 1 up; never reused while the stream lives."""

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

Mask = NDArray[np.bool_]
"""(H, W) bool at source size."""

Region = tuple[float, float, float, float]
"""(x0, y0, x1, y1) of what a person pointed at, as shares of the picture's width and height, 0..1; both
corners are one for a click."""

Logits = NDArray[np.float32]
"""(h, w) or (N, h, w) float32 at a model's own size; a pixel belongs where it is > 0."""


class Clock(StrEnum):
    """Which clock `captured_s` was read from, best first."""

    RTCP = "rtcp"
    ABS_CAPTURE = "abs_capture"
    ARRIVAL = "arrival"


class QueryKind(StrEnum):
    """What the words want: a mask, an answer in text, or a description."""

    REFER = "refer"
    ASK = "ask"
    DESCRIBE = "describe"


class TrackState(StrEnum):
    """Life of a track. `lost` and `ended` carry no mask; `ended` is published once."""

    TENTATIVE = "tentative"
    ACTIVE = "active"
    OCCLUDED = "occluded"
    LOST = "lost"
    ENDED = "ended"


class SourceState(StrEnum):
    """What a source is doing, as published to people."""

    STARTING = "starting"
    LIVE = "live"
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded picture."""

    stream_id: StreamId
    index: int
    "Counts decoded pictures of the stream since its source started, from 0, dropped ones included."
    pixels: Pixels
    pts_s: float
    "Media time line, seconds; grows by the frame period, may restart when the source reconnects."
    captured_s: float
    clock: Clock
    decode_s: float = 0.0
    "Time this picture spent in the decoder and the conversion to RGB, seconds."

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, slots=True)
class Query:
    """A person's words about a stream."""

    query_id: QueryId
    stream_id: StreamId
    text: str
    kind: QueryKind = QueryKind.REFER
    revision: int = 1
    "From 1; every edit of the text adds one."
    accepted_s: float = 0.0
    "When this revision was accepted by the service: the start of prompt-to-mask."
    region: Region | None = None
    "What an `ask` is about, on the keyframe that it is answered on; None: the whole picture."


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream as somebody asked for it: the desired state."""

    stream_id: StreamId
    url: str
    "rtsp(s)://…, file path or file://…, whip: (a browser publishes), /dev/videoN or camera:N."


@dataclass(frozen=True, slots=True, eq=False)
class Keyframe:
    """A frame shown to the grounder, with the queries it is asked about."""

    frame: Frame
    queries: tuple[Query, ...]
    asked_s: float
    earlier: tuple[Pixels, ...] = ()
    """Pictures of the stream about 0.9 s and 0.3 s before the frame, oldest first, for words about motion.
    Each (h, w, 3) uint8 RGB, aspect kept, maybe smaller than the frame. At a beginning: the last, or none."""


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """What the language model said about one object: a `[SEG]` and its phrase."""

    phrase: str
    embedding: NDArray[np.float32]
    "(D,) float32, the `[SEG]` hidden state after `text_hidden_fcs`; D is 256 in published models."
    presence: float
    "P([SEG]) at its place in the answer, 0..1."


@dataclass(frozen=True, slots=True)
class GroundSeconds:
    """Where one grounding's time went, seconds; queries that were worked on together have the same."""

    wait: float = 0.0
    "In the grounder's queue."
    look: float = 0.0
    "Pictures through the vision tower and SAM-2's encoder."
    read: float = 0.0
    "Questions read and answers said by the language model."
    draw: float = 0.0
    "Masks drawn."


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The grounder's word on one query and one keyframe.

    `prompts[k]` and `logits[k]` belong together. No prompts means "no such object" (`refer`) or
    an answer that is only text (`ask`, `describe`).
    """

    stream_id: StreamId
    query_id: QueryId
    revision: int
    keyframe_index: int
    text: str
    prompts: tuple[Prompt, ...]
    logits: Logits
    "(N, h, w) float32 on the keyframe, at the grounder's mask size, whole picture, aspect not kept."
    ground_s: float = 0.0
    """Time the grounder worked on the keyframe, its queue not included, seconds; where several keyframes were
    worked on together, its share."""
    steps_s: GroundSeconds = field(default_factory=GroundSeconds)
    model: str = ""
    "What answered: `nano`, `owner/name@commit`, or the name of a checkpoint's folder."


@dataclass(frozen=True, slots=True, eq=False)
class Click:
    """What a person pointed at on one frame: one object, by points, a box or both."""

    stream_id: StreamId
    query_id: QueryId
    revision: int
    keyframe_index: int
    points: NDArray[np.float32]
    "(K, 2) float32, x and y as shares of the picture's width and height, 0..1; K may be 0 beside a box."
    on_object: NDArray[np.bool_]
    "(K,) bool: the object is there; or what is there does not belong to it."
    box: tuple[float, float, float, float] | None = None
    "(x0, y0, x1, y1) as shares, 0..1."
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class MaskRle:
    """A mask as COCO compressed run lengths (column-major), readable by pycocotools."""

    size: tuple[int, int]
    "(height, width) in pixels."
    counts: str


@dataclass(frozen=True, slots=True)
class Track:
    """One object on one frame."""

    track_id: TrackId
    query_id: QueryId
    revision: int
    phrase: str
    state: TrackState
    score: float
    "0..1: the tracker's belief that the object is in this picture."
    box_px: tuple[float, float, float, float] | None
    "(x0, y0, x1, y1) at source size, x1 and y1 exclusive; None where there is no mask."
    mask: MaskRle | None
    keyframe_index: int
    "Frame index of the keyframe whose answer last conditioned this track."


@dataclass(frozen=True, slots=True)
class Latency:
    """Where one frame's time went, seconds."""

    decode: float
    track: float
    total: float
    "Capture to publication: the frame age."


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Everything said about one tracked frame; schema `saccade.frame/1` on the wire."""

    stream_id: StreamId
    frame_index: int
    pts_s: float
    captured_s: float
    clock: Clock
    published_s: float
    width: int
    height: int
    dropped: int
    "Frames of this stream dropped since the previous result."
    latency_s: Latency
    tracks: tuple[Track, ...] = field(default=())
