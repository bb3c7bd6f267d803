"""Connections and unfinished requests are limited before any token is asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from dashboards.http_limits import LimitedHttp
from dashboards.server import GatewayServer

ARRIVAL_S = 0.3


async def echo(request: Request) -> PlainTextResponse:
    body = await request.body()
    await asyncio.sleep(2 * ARRIVAL_S)  # an answer may take longer than a request
    return PlainTextResponse(body.decode())


async def greet(socket: WebSocket) -> None:
    await socket.accept()
    await asyncio.sleep(2 * ARRIVAL_S)
    await socket.send_text("hello")


Open = Callable[[], Awaitable["Client"]]


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayServer]:
    monkeypatch.setattr(LimitedHttp, "arrival_s", ARRIVAL_S)
    monkeypatch.setattr(LimitedHttp, "max_connections", 20)
    routes = [Route("/", echo, methods=["GET", "POST"]), WebSocketRoute("/feed", greet)]
    server = GatewayServer(Starlette(routes=routes), "127.0.0.1", 0)
    await server.start()
    yield server
    await server.stop()


class Client:
    """A client that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def received(self) -> bytes:
        """Return everything until the server closes."""
        with contextlib.suppress(ConnectionResetError):
            async with asyncio.timeout(10):
                return await self._reader.read()
        return b""

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@pytest.fixture
async def client(server: GatewayServer) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    """Opens connections, which are closed in the end."""
    opened: list[Client] = []

    async def start() -> Client:
        port = int(server.url.rpartition(":")[2])
        opened.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
        return opened[-1]

    yield start
    for each in opened:
        await each.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123",
    ],
    ids=["nothing", "half of the headers", "half of the body"],
)
async def test_a_request_that_is_never_finished_is_closed(client: Open, begun: bytes) -> None:
    slow = await client()
    await slow.send(begun)
    assert await slow.received() == b""


async def test_bytes_that_trickle_in_do_not_extend_the_time(client: Open) -> None:
    slow = await client()
    await slow.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    closed = asyncio.create_task(slow.received())
    while not closed.done():
        with contextlib.suppress(ConnectionError):
            await slow.send(b"a")
        await asyncio.sleep(ARRIVAL_S / 10)
    assert closed.result() == b""


async def test_a_second_request_on_a_connection_has_its_own_time(client: Open) -> None:
    reused = await client()
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst"
    await reused.send(whole)
    await asyncio.sleep(3 * ARRIVAL_S)
    await reused.send(whole.replace(b"first", b"later"))
    await asyncio.sleep(3 * ARRIVAL_S)
    await reused.send(b"POST / HTTP/1.1\r\nHost:")
    received = await reused.received()
    assert b"first" in received and b"later" in received


async def test_an_answer_and_a_websocket_may_take_longer(server: GatewayServer) -> None:
    async with httpx.AsyncClient() as http:
        assert (await http.post(server.url, content=b"hello")).text == "hello"
    async with connect(server.url.replace("http", "ws") + "/feed") as socket:
        assert await socket.recv() == "hello"


async def test_connections_beyond_the_limit_are_refused_and_the_others_answered(
    server: GatewayServer, client: Open, caplog: pytest.LogCaptureFixture
) -> None:
    held = [await client() for _ in range(20)]
    await asyncio.sleep(0.05)
    refused = await client()
    assert (await refused.received()).startswith(b"HTTP/1.1 503 ")
    for each in held:
        await each.close()
    await asyncio.sleep(0.05)
    async with httpx.AsyncClient() as http:
        assert (await http.get(server.url)).status_code == 200
    assert "more than 20 connections" in caplog.text
