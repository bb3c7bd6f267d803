"""The types that packages and processes exchange. Frozen dataclasses and numpy only; no torch, Ray or Redis.

In the order of the data flow: a `Frame` comes in, a `Keyframe` goes to the grounder, an `Answer` (or a user's
`Click`) comes back, `Track`s are published in a `FrameResult`.

Names in `_s` hold seconds. Stamps (`captured_s`, `published_s`, `accepted_s`) are Unix time; `pts_s` is on
the media's own time line, and the two are never mixed. Names in `_px` hold pixels.
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
"""A query. An edit raises its revision and keeps its id."""

TrackId = NewType("TrackId", int)
"""One object through time on one stream, from 1 up; never reused while the stream exists."""

Pixels = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB."""

Mask = NDArray[np.bool_]
"""(H, W) bool at source size."""

Region = tuple[float, float, float, float]
"""(x0, y0, x1, y1) of a region the user pointed at, as fractions of the frame's width and height, 0..1; of a
click both corners are the same point."""

Logits = NDArray[np.float32]
"""(h, w) or (N, h, w) float32 at a model's own size; a pixel is in the mask where it is > 0."""


class Clock(StrEnum):
    """Clock that `captured_s` was read from."""

    ARRIVAL = "arrival"
    "Ours, when the frame's last packet arrived; earlier by what RTP timestamps say that it was delayed."
    RTCP = "rtcp"
    "The camera's own, from RTCP sender reports."


class QueryKind(StrEnum):
    """What a query asks for: masks, an answer in text, or a description in text."""

    REFER = "refer"
    ASK = "ask"
    DESCRIBE = "describe"


class TrackState(StrEnum):
    """Life cycle of a track. `lost` and `ended` have no mask; `ended` is published once."""

    TENTATIVE = "tentative"
    ACTIVE = "active"
    OCCLUDED = "occluded"
    LOST = "lost"
    ENDED = "ended"


class SourceState(StrEnum):
    """State of a source, as published."""

    STARTING = "starting"
    LIVE = "live"
    WAITING = "waiting"
    "Connected and something arrives, but no picture at present: a key frame is awaited, or it is night."
    RECONNECTING = "reconnecting"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded image of a stream."""

    stream_id: StreamId
    index: int
    """Counts the decoded frames of the stream, dropped frames included. It continues when the stream is
    hosted again; see `FrameResult.epoch`."""
    pixels: Pixels
    pts_s: float
    "Presentation time, seconds; grows by the frame period, may jump when the source reconnects."
    captured_s: float
    clock: Clock
    decode_s: float = 0.0
    "Duration of decoding and of the conversion to RGB, seconds."

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, slots=True)
class Query:
    """A user's text about a stream."""

    query_id: QueryId
    stream_id: StreamId
    text: str
    kind: QueryKind = QueryKind.REFER
    revision: int = 1
    "From 1; every edit of the text adds one."
    accepted_s: float = 0.0
    "When the service accepted this revision: the start of prompt-to-mask."
    region: Region | None = None
    "Region an `ask` is about, on the keyframe that it is answered on; None: the whole frame."


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """A stream as the user asked for it: the desired state."""

    stream_id: StreamId
    url: str
    "rtsp(s)://…, file path or file://…, whip: (a browser publishes), /dev/videoN or camera:N[?size=…&fps=…]."


@dataclass(frozen=True, slots=True, eq=False)
class Keyframe:
    """A frame that is sent to the grounder, with the queries to answer on it."""

    frame: Frame
    queries: tuple[Query, ...]
    asked_s: float
    "When it was sent, on the monotonic clock of the worker."
    earlier: tuple[Pixels, ...] = ()
    """Images of the stream about 0.9 s and 0.3 s before the frame, oldest first, for queries about motion.
    Each (h, w, 3) uint8 RGB, same aspect ratio, may be smaller than the frame. Fewer or none when the stream
    has just started."""


@dataclass(frozen=True, slots=True, eq=False)
class SegPrompt:
    """The language model's output for one object: a `[SEG]` embedding and its phrase."""

    phrase: str
    embedding: NDArray[np.float32]
    "(D,) float32, the `[SEG]` hidden state after `text_hidden_fcs`; D is 256 in published models."
    presence: float
    "P([SEG]) at its position in the answer, 0..1."


@dataclass(frozen=True, slots=True)
class GroundSeconds:
    """Durations of the steps of one grounding, seconds; queries of the same batch have the same."""

    wait: float = 0.0
    "In the grounder's queue."
    look: float = 0.0
    "Vision tower and SAM-2 image encoder."
    read: float = 0.0
    "Language model: prefill and generation."
    draw: float = 0.0
    "Mask decoder."


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The grounder's answer to one query on one keyframe.

    `prompts[k]` and `logits[k]` belong together. No prompts means "no such object" (`refer`) or a text-only
    answer (`ask`, `describe`).
    """

    stream_id: StreamId
    query_id: QueryId
    revision: int
    keyframe_index: int
    text: str
    prompts: tuple[SegPrompt, ...]
    logits: Logits
    "(N, h, w) float32 on the keyframe, at the grounder's mask size, whole frame, aspect ratio not kept."
    ground_s: float = 0.0
    """Duration of grounding without its queue, seconds; in a batch of several keyframes, this keyframe's
    share."""
    steps_s: GroundSeconds = field(default_factory=GroundSeconds)
    model: str = ""
    "Model that answered: `nano`, `owner/name@commit`, or the name of a checkpoint's folder."


@dataclass(frozen=True, slots=True, eq=False)
class Click:
    """One object that a user marked on one frame, by points, a box or both."""

    stream_id: StreamId
    query_id: QueryId
    revision: int
    keyframe_index: int
    points: NDArray[np.float32]
    "(K, 2) float32, x and y as fractions of the frame's width and height, 0..1; K may be 0 beside a box."
    on_object: NDArray[np.bool_]
    "(K,) bool, SAM-2's point labels: True, foreground; False, background."
    box: tuple[float, float, float, float] | None = None
    "(x0, y0, x1, y1) as fractions, 0..1."
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
    "Object score, 0..1: the tracker's probability that the object is in this frame."
    box_px: tuple[float, float, float, float] | None
    "(x0, y0, x1, y1) at source size, x1 and y1 exclusive; None where there is no mask."
    mask: MaskRle | None
    keyframe_index: int
    "Frame index of the keyframe whose answer last conditioned this track."


@dataclass(frozen=True, slots=True)
class Latency:
    """Durations of one frame's steps, seconds."""

    decode: float
    track: float
    total: float
    "From `captured_s` to `published_s`: the frame age."


@dataclass(frozen=True, slots=True)
class FrameResult:
    """All tracks of one frame; schema `saccade.frame/1` in JSON.

    `published_s` and `latency_s.total` are provisional, up to `assembled_s`, until the result is published:
    the writer replaces both by the moment at which Redis appended the entry. Without Redis (`saccade track`)
    they stay.
    """

    stream_id: StreamId
    frame_index: int
    epoch: int = field(default=0, kw_only=True)
    """Numbers of one epoch belong together: `frame_index` only grows, and a `track_id` names one object. A
    greater epoch says that the numbering was lost and began anew. 0: stored by a release without this
    field."""
    pts_s: float
    captured_s: float
    clock: Clock
    assembled_s: float = field(default=0.0, kw_only=True)
    """When tracking had ended and the result was ready to be written; 0: stored by a release without this
    field."""
    published_s: float
    "When Redis had appended the entry, by our clock; late by at most a round trip to Redis, never early."
    width: int
    height: int
    dropped: int
    "Frames of this stream dropped since the previous result."
    latency_s: Latency
    tracks: tuple[Track, ...] = field(default=())
