"""What the gateway may ask of the service. The supervisor implements it; tests have a small one in memory.

Every method is a coroutine and may raise StoreUnavailable (Redis is away; nothing was changed) and
ServiceUnavailable (a part is not up yet) besides what its docstring names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from streaming.vocabulary import Query, QueryId, QueryKind, SourceState, StreamId, StreamSpec


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
class Session:
    """A WebRTC session just opened."""

    session_id: str
    "Unguessable, [A-Za-z0-9_-]; whoever knows it may end the session."
    answer_sdp: str


class Control(Protocol):
    """The verbs of the service, as the gateway knows them."""

    async def list_streams(self) -> list[StreamStatus]:
        """Every desired stream, in the order they were added."""
        ...

    async def get_stream(self, stream_id: StreamId) -> StreamStatus:
        """One stream. Raises NotFound."""
        ...

    async def add_stream(self, spec: StreamSpec) -> StreamStatus:
        """Want a stream from now on. Returns before it is live.

        Raises InvalidStream, RefusedAddress, Conflict (the id is taken), LimitReached.
        """
        ...

    async def remove_stream(self, stream_id: StreamId) -> None:
        """End a stream, its queries and its sessions. Raises NotFound."""
        ...

    async def list_queries(self, stream_id: StreamId) -> list[QueryStatus]:
        """Queries of a stream, in the order they were added. Raises NotFound."""
        ...

    async def get_query(self, query_id: QueryId) -> QueryStatus:
        """One query. Raises NotFound."""
        ...

    async def add_query(self, stream_id: StreamId, text: str, kind: QueryKind) -> QueryStatus:
        """Ask from now on. Raises NotFound, InvalidQuery, LimitReached."""
        ...

    async def edit_query(self, query_id: QueryId, text: str) -> QueryStatus:
        """Change the words while it runs: same id, next revision. Raises NotFound, InvalidQuery."""
        ...

    async def remove_query(self, query_id: QueryId) -> None:
        """End a query and its tracks. Raises NotFound."""
        ...

    async def whip_offer(self, stream_id: StreamId, sdp: str) -> Session:
        """A browser publishes to a `whip:` stream.

        Raises NotFound, Conflict (it has a live publisher, or its URL is not `whip:`), InvalidStream (not an
        offer we can answer).
        """
        ...

    async def whip_end(self, stream_id: StreamId, session_id: str) -> None:
        """The publisher leaves. Raises NotFound."""
        ...

    async def whep_offer(self, stream_id: StreamId, sdp: str) -> Session:
        """A browser watches. Raises NotFound, InvalidStream (as above), LimitReached, ServiceUnavailable."""
        ...

    async def whep_end(self, stream_id: StreamId, session_id: str) -> None:
        """The viewer leaves. Raises NotFound."""
        ...

    async def readiness(self) -> dict[str, str]:
        """Part of the service -> "ok", or one line saying why not. Ready means all are "ok"."""
        ...

    async def metrics(self) -> bytes:
        """Prometheus text exposition, version 0.0.4, of everything but the gateway itself."""
        ...
