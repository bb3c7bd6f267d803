"""Limits of HTTP connections before any request is known: their number, and the time a request may take.

uvicorn limits neither. Without it 1,100 connections that never finish their headers take every descriptor of
the process.
"""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar, Final, Literal

from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

Awaited = Literal["headers", "body", "nothing"]
"What a client has begun to send, or should."

_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-type: text/plain\r\ncontent-length: 22\r\n\r\nToo many connections.\n"
)


class LimitedHttp(H11Protocol):
    """A connection that is refused beyond `max_connections` and closed when a request takes too long.

    A request has `arrival_s` seconds for its headers, from the connection or its first byte on, and as long
    for its body. Between requests uvicorn's keep-alive timeout applies, to a WebSocket none.
    """

    max_connections: ClassVar[int] = 512
    "WebSockets included. A wall of 100 pages needs some 300; a process may have 1,024 descriptors or more."
    arrival_s: ClassVar[float] = 10.0
    "Bodies have 64 KiB at most: 7 KB/s are enough."

    _deadline: asyncio.TimerHandle | None = None
    _awaited: Awaited = "headers"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it at once."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            log.warning("more than %d connections: others are refused", self.max_connections)
            transport.write(_BUSY)
            transport.close()
            return
        self._start_deadline()

    def data_received(self, data: bytes) -> None:
        """Take bytes; what they complete ends its deadline, what they begin has another."""
        super().data_received(data)
        awaited = self._awaited_now()
        if awaited != self._awaited:
            self._stop_deadline()
            if awaited != "nothing":
                self._start_deadline()
        self._awaited = awaited

    def _awaited_now(self) -> Awaited:
        if self.transport.get_protocol() is not self:  # a WebSocket now
            return "nothing"
        if self.cycle is None or (self.cycle.response_complete and self.conn.trailing_data[0]):
            return "headers"
        return "body" if self.cycle.more_body and not self.cycle.response_complete else "nothing"

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_deadline()
        super().connection_lost(exc)

    def _start_deadline(self) -> None:
        self._stop_deadline()
        self._deadline = self.loop.call_later(self.arrival_s, self.transport.abort)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
