"""The whole service in one `async with`: Redis, gateway, supervisor, in that order, and back again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from actors.redis_server import RedisServer
from actors.supervisor import Supervisor
from dashboards.auth import load_token
from dashboards.gateway import create_app
from dashboards.server import GatewayServer
from streaming.results.reader import ResultReader
from streaming.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, and the ways to it."""

    url: str
    "Of the gateway, http://host:port."
    token: SecretStr
    redis_url: SecretStr
    supervisor: Supervisor

    @property
    def page_url(self) -> str:
        """The page, with the token where only the browser sees it: in the fragment."""
        return f"{self.url}/#token={self.token.get_secret_value()}"


@asynccontextmanager
async def running_service(settings: Settings, store_dir: Path | None = None) -> AsyncIterator[Service]:
    """Start everything, yield, stop everything; nothing is left running, whatever happened in between.

    `store_dir` is where a Redis of our own keeps its data: below `state_dir` if not given.
    The gateway answers first, so that a taken port is said at once and `/ready` tells what is still missing.
    Raises Conflict (port taken), ServiceUnavailable (no Redis to be had), StoreUnavailable, InvalidSettings.
    """
    token = load_token(settings)
    with _store(settings, store_dir or settings.state_dir / "redis") as (redis_url, store):
        async with AsyncExitStack() as stack:
            supervisor = Supervisor(settings, redis_url, store)
            stack.push_async_callback(supervisor.stop)
            reader = ResultReader(redis_url)
            stack.push_async_callback(reader.close)
            app = create_app(supervisor, reader, settings, token)
            gateway = GatewayServer(app, settings.host, settings.port)
            stack.push_async_callback(gateway.stop)
            url = await gateway.start()
            await supervisor.start()
            yield Service(url, token, redis_url, supervisor)


@contextmanager
def _store(settings: Settings, folder: Path) -> Iterator[tuple[SecretStr, RedisServer | None]]:
    """The Redis that was given, or one of our own for as long as we live."""
    if settings.redis_url is not None:
        yield settings.redis_url, None
        return
    server = RedisServer(folder)
    try:
        yield server.start(), server
    finally:
        server.stop()
