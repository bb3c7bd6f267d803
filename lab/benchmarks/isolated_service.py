"""A service of a measurement's own, and a stream on it that is surely live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from actors.service import Service, running_service
from lab.evaluation.published_results import Watching, reading
from streaming.errors import SourceUnavailable
from streaming.settings import Settings
from streaming.vocabulary import StreamSpec

RESULTS_KEPT: Final = 100_000
"Far more than a reader can fall behind by."
_LIVE_WITHIN_S: Final = 30.0


@asynccontextmanager
async def service_apart(settings: Settings, folder: Path) -> AsyncIterator[Service]:
    """The whole service with a Redis, a port and a token of its own, which may reach loopback sources.

    What it writes is in `folder`, but for compiled models. Raises what `running_service` raises.
    """
    own = settings.model_copy(
        update={
            "allowed_hosts": [*settings.allowed_hosts, "127.0.0.1/32"],
            "results_maxlen": RESULTS_KEPT,
            "redis_url": None,
            "state_dir": folder,
            "port": 0,
        }
    )
    async with running_service(own) as service:
        yield service


@asynccontextmanager
async def watched_stream(service: Service, spec: StreamSpec) -> AsyncIterator[Watching]:
    """Add a stream, yield when its first result is in Redis, remove it at the end.

    Raises SourceUnavailable where no result comes, and what `Supervisor.add_stream` raises.
    """
    watching = Watching()
    async with reading(service.redis_url, spec.stream_id, watching.take):
        await service.supervisor.add_stream(spec)
        try:
            if await watching.first(lambda _: True, 0, _LIVE_WITHIN_S) is None:
                status = await service.supervisor.get_stream(spec.stream_id)
                raise SourceUnavailable(
                    f"No result of {status.url} within {_LIVE_WITHIN_S:g} s: {status.state} {status.reason}"
                )
            yield watching
        finally:
            await service.supervisor.remove_stream(spec.stream_id)
