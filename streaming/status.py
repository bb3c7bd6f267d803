"""Current states as the API shows them: streams, queries and WebRTC sessions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from streaming.vocabulary import Query, SourceState, StreamId


class QueryState(StrEnum):
    """State of a query."""

    PENDING = "pending"
    "Accepted; this revision has no answer yet."
    FOLLOWING = "following"
    "At least one of its tracks is alive."
    ABSENT = "absent"
    "Answered: no object in the frame matches; asked again from time to time."
    ANSWERED = "answered"
    "An `ask` or `describe` that has its text."
    FAILED = "failed"
    "The grounder could not answer; asked again from time to time."


@dataclass(frozen=True, slots=True)
class QueryStatus:
    """A query and its last answer."""

    query: Query
    state: QueryState = QueryState.PENDING
    answer: str | None = None
    "Text of the last answer to this revision."
    presence: float | None = None
    "0..1: the highest P([SEG]) of that answer; None where it has no prompt."
    prompt_to_mask_s: float | None = None
    "From the acceptance of this revision to the first result with a mask of it being ready, seconds."


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream now. Rates and ages are over the last seconds; None where nothing was measured."""

    stream_id: StreamId
    url: str
    "Without credentials."
    state: SourceState
    reason: str = ""
    "Why, where the state is not `live`."
    width: int | None = None
    height: int | None = None
    tracked_fps: float = 0.0
    "Results that Redis acknowledged, per second."
    frame_age_p50_s: float | None = None
    "From capture to the moment Redis had the result."
    frame_age_p95_s: float | None = None
    frames: int = 0
    "Frames tracked since the stream was added."
    dropped: int = 0
    "Frames dropped since the stream was added."
    reconnects: int = 0
    reader: str = ""
    "What reads the source: `native` or `ffmpeg`; empty before it is opened, and for WHIP."
    queries: tuple[QueryStatus, ...] = ()
    epoch: int = 0
    "See `FrameResult.epoch`; 0 before the stream is hosted."
    tracks_lost: str = ""
    "Why its tracks ended when it was hosted last; empty if they went on, or there were none."


@dataclass(frozen=True, slots=True)
class WebRtcSession:
    """A WHIP or WHEP session just opened."""

    session_id: str
    "[A-Za-z0-9_-], unguessable: knowing it permits ending the session."
    answer_sdp: str
