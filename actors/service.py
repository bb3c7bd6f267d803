"""The whole service as one context manager: starts Redis, gateway and supervisor, stops them in reverse."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from actors.open_files import raise_open_files_limit
from actors.redis_server import RedisServer
from actors.supervisor import Supervisor
from dashboards.auth import load_token
from dashboards.gateway import create_app
from dashboards.server import GatewayServer
from engines.grounding.checkpoint_folder import checkpoint_folder
from engines.grounding.hub_name import is_hub_name
from engines.tracking.checkpoint_files import checkpoint_files
from streaming.errors import InvalidSettings
from streaming.results.connection import resolve_redis_url
from streaming.results.reader import ResultReader
from streaming.settings import Settings
from streaming.webrtc.ice import IceCandidates


@dataclass(frozen=True, slots=True)
class Service:
    """A running service and how to reach it."""

    url: str
    "Of the gateway, http://host:port."
    token: SecretStr
    redis_url: SecretStr
    supervisor: Supervisor

    @property
    def page_url(self) -> str:
        """URL of the page, with the token in the fragment, which browsers do not send."""
        return f"{self.url}/#token={self.token.get_secret_value()}"


@asynccontextmanager
async def running_service(settings: Settings, redis_dir: Path | None = None) -> AsyncIterator[Service]:
    """Start the service, yield, stop it; no process is left, whatever happened in between.

    `redis_dir` is the folder of our own Redis: below `state_dir` if not given. The gateway starts first, so
    that a taken port fails at once and `/ready` shows which parts are not up yet. Raises Conflict (port
    taken), NotFound (no such checkpoint), ServiceUnavailable (no Redis server installed), StoreUnavailable,
    InvalidSettings.
    """
    if settings.ray_address is None:
        _check_for_this_machine(settings)
    _make_writable(settings.state_dir)
    token = load_token(settings)
    raise_open_files_limit()
    with _redis(settings, redis_dir or settings.state_dir / "redis") as (redis_url, redis_server):
        async with AsyncExitStack() as stack:
            supervisor = Supervisor(settings, redis_url, redis_server)
            stack.push_async_callback(supervisor.stop)
            reader = ResultReader(redis_url)
            stack.push_async_callback(reader.close)
            app = create_app(supervisor, reader, settings, token)
            gateway = GatewayServer(app, settings.host, settings.port)
            stack.push_async_callback(gateway.stop)
            url = await gateway.start()
            await supervisor.start()
            yield Service(url, token, redis_url, supervisor)


def _check_for_this_machine(settings: Settings) -> None:
    """Check before processes are started what a cluster has on its workers' machines: models, addresses."""
    IceCandidates.of(settings)
    checkpoint_files(settings.tracker)
    if Path(settings.model).exists() or not is_hub_name(settings.model):
        checkpoint_folder(settings.model)  # a hub's is downloaded by the grounder


def _make_writable(state_dir: Path) -> None:
    """Make the folder of token, Redis and compiled models. Raises InvalidSettings."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise InvalidSettings(
            f"The folder {state_dir} cannot be made: {exc.strerror}.", remedy="Set state_dir to another."
        ) from exc
    if not os.access(state_dir, os.W_OK | os.X_OK):
        raise InvalidSettings(
            f"The folder {state_dir} cannot be written.", remedy="Permit it, or set state_dir to another."
        )


@contextmanager
def _redis(settings: Settings, folder: Path) -> Iterator[tuple[SecretStr, RedisServer | None]]:
    """Yield the Redis of the settings, or our own server for the duration of the context."""
    if settings.redis_url is not None:
        yield resolve_redis_url(settings.redis_url, settings.redis_password), None
        return
    server = RedisServer(folder)
    try:
        yield server.start(), server
    finally:
        server.stop()
