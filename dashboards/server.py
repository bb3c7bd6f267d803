"""Runs the gateway in the caller's asyncio loop, without signal handlers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from dashboards.http_limits import LimitedHttp
from streaming.errors import Conflict, InvalidSettings

_SHUTDOWN_S = 3
_WS_MAX_BYTES = 1_024
"Largest WebSocket message accepted; clients need not send any."


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers: the program handles SIGINT and SIGTERM and calls `GatewayServer.stop`."""
        yield


class GatewayServer:
    """Serves an ASGI application by uvicorn."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        """Do not listen yet. `port` 0 picks a free port."""
        self._app, self._host, self._port = app, host, port
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Base URL, without a trailing slash."""
        name = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{name}:{self._port}"

    async def start(self) -> str:
        """Listen and serve; returns `url`. Raises Conflict (port taken), InvalidSettings (no such host)."""
        listener = _listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http=LimitedHttp,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=_WS_MAX_BYTES,
            # A result has a few KiB: compression per viewer costs more CPU than it saves bandwidth.
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve([listener]), name="gateway")
        while not self._server.started:
            if self._task.done():
                await self._task
            await asyncio.sleep(0.005)
        return self.url

    async def stop(self) -> None:
        """Finish open requests, for 3 s at most, and stop. Does nothing if it is stopped."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await asyncio.wait([self._task])
        self._server = self._task = None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except socket.gaierror as exc:
        listener.close()
        raise InvalidSettings(f"host {host!r} is no address of this machine.", remedy="See `host`.") from exc
    except OSError as exc:
        listener.close()
        raise Conflict(
            f"Port {port} on {host} cannot be used: {exc.strerror}.", remedy="Stop what uses it, or set port."
        ) from exc
    return listener
