"""Serves a gateway on loopback, for tests over HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from actors.redis_server import RedisServer
from dashboards.gateway import create_app
from dashboards.server import GatewayServer
from streaming.results.reader import ResultReader
from streaming.settings import Settings
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId
from tests.doubles import MemoryControl

TOKEN = "a-token-of-the-tests"
AUTH = {"Authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Service:
    """A running gateway with its control and Redis."""

    control: MemoryControl
    http: httpx.AsyncClient
    "HTTP client with the token."
    anonymous: httpx.AsyncClient
    "HTTP client without the token."
    url: str
    redis_url: SecretStr

    async def add(self, stream_id: str, url: str = "rtsp://camera.example/1") -> httpx.Response:
        """Add a stream over the REST API."""
        return await self.http.post("/v1/streams", json={"stream_id": stream_id, "url": url})

    def feed_url(self, stream_id: str) -> str:
        """Return the URL of a stream's WebSocket feed."""
        return self.url.replace("http", "ws") + f"/v1/streams/{stream_id}/feed"


@asynccontextmanager
async def serve(redis: RedisServer, settings: Settings) -> AsyncIterator[Service]:
    """Serve a gateway on a free port of 127.0.0.1, whatever the host of the settings."""
    control = MemoryControl()
    reader = ResultReader(redis.url)
    server = GatewayServer(create_app(control, reader, settings, SecretStr(TOKEN)), "127.0.0.1", 0)
    url = await server.start()
    async with (
        httpx.AsyncClient(base_url=url, headers=AUTH) as http,
        httpx.AsyncClient(base_url=url) as anonymous,
    ):
        yield Service(control, http, anonymous, url, redis.url)
    await server.stop()
    await reader.close()


def is_problem(response: httpx.Response, status: int, code: str) -> bool:
    """Assert that a response is problem+json with this status and code; returns True."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert body["status"] == response.status_code == status, body
    assert body["code"] == code, body
    assert body["title"] and body["detail"], body
    return True


def frame(stream_id: str, index: int) -> FrameResult:
    """Return a 640x360 result without tracks, captured and published now."""
    return FrameResult(
        StreamId(stream_id),
        index,
        pts_s=index / 25,
        captured_s=time.time(),
        clock=Clock.ARRIVAL,
        published_s=time.time(),
        width=640,
        height=360,
        dropped=0,
        latency_s=Latency(0.001, 0.01, 0.02),
    )
