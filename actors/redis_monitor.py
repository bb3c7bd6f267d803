"""Watches Redis: restarts a server of ours that died, and restores the desired state in a Redis that is
back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter
from pydantic import SecretStr

from actors.redis_server import RedisServer
from actors.shutdown import run_to_completion
from streaming.errors import SaccadeError, StoreUnavailable
from streaming.results.connection import Connection

log = logging.getLogger(__name__)

ROUND_S = 0.5


class RedisMonitor:
    """Writes to Redis in rounds, to see that it can. One asyncio loop owns a monitor."""

    def __init__(
        self,
        redis_url: SecretStr,
        server: RedisServer | None,
        restore: Callable[[], Awaitable[None]],
        round_s: float = ROUND_S,
    ) -> None:
        """`server`: the Redis of ours to restart; None if it is another's. `restore` is awaited whenever
        Redis is back: it may have lost its data. Raises nothing.
        """
        self._connection = Connection(redis_url)
        self._server = server
        self._restore = restore
        self._round_s = round_s
        self.problem = ""
        "Why Redis cannot be used; empty while it can."
        self.registry = CollectorRegistry()
        self._restarts = Counter(
            "saccade_store_restarts", "Times our own Redis was started again.", registry=self.registry
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            await self._watch()
        finally:
            self._connection.close()

    async def _watch(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._connection.check_writable)
                if self.problem:
                    await self._restore()
                    log.info("Redis is back.")
                self.problem = ""
            except StoreUnavailable as exc:
                self.problem = exc.message
                await self._restart_server()
            except Exception as exc:  # last resort: a monitor that ended would never see Redis return
                log.error("Monitoring Redis failed.", exc_info=exc)
                self.problem = f"Monitoring Redis failed: {type(exc).__name__}; see the log."
            await asyncio.sleep(self._round_s)

    async def _restart_server(self) -> None:
        if self._server is None or self._server.is_running:
            return
        log.warning("Our own Redis died; it is started again.")
        try:
            await run_to_completion(asyncio.to_thread(self._server.restart))
            self._restarts.inc()
        except (SaccadeError, OSError) as exc:
            log.error("Redis does not start: %s", exc)
