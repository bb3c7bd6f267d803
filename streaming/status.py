"""How things stand, as told to people: streams, queries and WebRTC sessions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from streaming.vocabulary import Query, SourceState, StreamId


class QueryState(StrEnum):
    """Where a query stands."""

    PENDING = "pending"
    "Accepted; this revision has no answer yet."
    FOLLOWING = "following"
    "At least one of its tracks lives."
    ABSENT = "absent"
    "Answered: nothing in the picture fits; looked for again from time to time."
    ANSWERED = "answered"
    "An `ask` or `describe` with its text."
    FAILED = "failed"
    "The grounder could not answer; tried again from time to time."


@dataclass(frozen=True, slots=True)
class QueryStatus:
    """A query and what came of it."""

    query: Query
    state: QueryState = QueryState.PENDING
    answer: str | None = None
    "Text of the last answer to this revision."
    presence: float | None = None
    "0..1: the highest P([SEG]) of that answer; None where it has no prompt."
    prompt_to_mask_s: float | None = None
    "From the acceptance of this revision to its first mask on a published frame, seconds."


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream as it is now. Rates and ages are over the last seconds; None where nothing was measured."""

    stream_id: StreamId
    url: str
    "Without credentials."
    state: SourceState
    reason: str = ""
    "Why, where the state is not `live`."
    width: int | None = None
    height: int | None = None
    tracked_fps: float = 0.0
    frame_age_p50_s: float | None = None
    frame_age_p95_s: float | None = None
    frames: int = 0
    "Frames tracked since the stream was added."
    dropped: int = 0
    "Frames dropped since the stream was added."
    reconnects: int = 0
    queries: tuple[QueryStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class WebRtcSession:
    """A WebRTC session just opened."""

    session_id: str
    "Unguessable, [A-Za-z0-9_-]; whoever knows it may end the session."
    answer_sdp: str
