"""What the gateway may ask of the service. The supervisor implements it; tests have a small one in memory.

Every method is a coroutine and may raise StoreUnavailable (Redis is away; nothing was changed) and
ServiceUnavailable (a part is not up yet) besides what its docstring names.
"""

from __future__ import annotations

from typing import Protocol

from streaming.status import QueryState, QueryStatus, StreamStatus, WebRtcSession
from streaming.vocabulary import QueryId, QueryKind, Region, StreamId, StreamSpec

__all__ = ["Control", "QueryState", "QueryStatus", "WebRtcSession", "StreamStatus"]


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

    async def add_query(
        self, stream_id: StreamId, text: str, kind: QueryKind, region: Region | None = None
    ) -> QueryStatus:
        """Ask from now on. Raises NotFound, InvalidQuery, LimitReached."""
        ...

    async def edit_query(self, query_id: QueryId, text: str) -> QueryStatus:
        """Change the words while it runs: same id, next revision. Raises NotFound, InvalidQuery."""
        ...

    async def remove_query(self, query_id: QueryId) -> None:
        """End a query and its tracks. Raises NotFound."""
        ...

    async def whip_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        """A browser publishes to a `whip:` stream.

        Raises NotFound, Conflict (it has a live publisher, or its URL is not `whip:`), InvalidStream (not an
        offer we can answer).
        """
        ...

    async def whip_end(self, stream_id: StreamId, session_id: str) -> None:
        """The publisher leaves. Raises NotFound."""
        ...

    async def whep_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
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
