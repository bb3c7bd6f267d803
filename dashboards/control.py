"""The operations of the service that the gateway calls. The supervisor implements them; tests have a double.

Every method is a coroutine and may raise StoreUnavailable (Redis is away; nothing was changed) and
ServiceUnavailable (a part is not up yet) besides the exceptions in its docstring.
"""

from __future__ import annotations

from typing import Protocol

from streaming.status import QueryStatus, StreamStatus, WebRtcSession
from streaming.vocabulary import QueryId, QueryKind, Region, StreamId, StreamSpec


class Control(Protocol):
    """The operations of the service. Implementations validate their arguments."""

    async def list_streams(self) -> list[StreamStatus]:
        """Return every desired stream, in the order of their addition."""

    async def get_stream(self, stream_id: StreamId) -> StreamStatus:
        """Return a stream. Raises NotFound."""

    async def add_stream(self, spec: StreamSpec) -> StreamStatus:
        """Add a stream. Returns before it is live.

        Raises InvalidStream, RefusedAddress, Conflict (the id is taken), LimitReached.
        """

    async def remove_stream(self, stream_id: StreamId) -> None:
        """Remove a stream, its queries and its WebRTC sessions. Raises NotFound."""

    async def list_queries(self, stream_id: StreamId) -> list[QueryStatus]:
        """Return the queries of a stream, in the order of their addition. Raises NotFound."""

    async def get_query(self, query_id: QueryId) -> QueryStatus:
        """Return a query. Raises NotFound."""

    async def add_query(
        self, stream_id: StreamId, text: str, kind: QueryKind, region: Region | None = None
    ) -> QueryStatus:
        """Add a query. Raises NotFound, InvalidQuery, LimitReached."""

    async def edit_query(self, query_id: QueryId, text: str) -> QueryStatus:
        """Change the text of a query: same id, next revision. Raises NotFound, InvalidQuery."""

    async def remove_query(self, query_id: QueryId) -> None:
        """Remove a query and its tracks. Raises NotFound."""

    async def whip_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        """Open a WHIP session: a browser publishes to a `whip:` stream.

        Raises NotFound, Conflict (it has a live publisher, or its URL is not `whip:`), InvalidStream (no
        usable offer).
        """

    async def whip_end(self, stream_id: StreamId, session_id: str) -> None:
        """End a WHIP session. Raises NotFound."""

    async def whep_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        """Open a WHEP session. Raises NotFound, InvalidStream, LimitReached, ServiceUnavailable."""

    async def whep_end(self, stream_id: StreamId, session_id: str) -> None:
        """End a WHEP session. Raises NotFound."""

    async def readiness(self) -> dict[str, str]:
        """Return each part of the service with "ok" or a line that says why not. Ready: all are "ok"."""

    async def metrics(self) -> bytes:
        """Return the Prometheus metrics of all processes, text exposition format 0.0.4."""
