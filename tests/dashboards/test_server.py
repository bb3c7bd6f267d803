"""The gateway listens at its address and stops on request."""

from __future__ import annotations

import signal
import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from dashboards.server import GatewayServer
from streaming.errors import Conflict, InvalidSettings


def hello() -> Starlette:
    return Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello"))])


async def test_it_answers_from_start_to_stop() -> None:
    server = GatewayServer(hello(), "127.0.0.1", 0)
    url = await server.start()
    assert url == server.url
    async with httpx.AsyncClient() as http:
        assert (await http.get(url)).text == "hello"
        await server.stop()
        with pytest.raises(httpx.ConnectError):
            await http.get(url)
    await server.stop()


async def test_its_port_can_be_used_again_at_once() -> None:
    first = GatewayServer(hello(), "127.0.0.1", 0)
    port = int((await first.start()).rpartition(":")[2])
    await first.stop()
    second = GatewayServer(hello(), "127.0.0.1", port)
    await second.start()
    await second.stop()


async def test_a_taken_port_is_a_conflict() -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        port = squatter.getsockname()[1]
        with pytest.raises(Conflict, match=f"Port {port} on 127.0.0.1 cannot be used"):
            await GatewayServer(hello(), "127.0.0.1", port).start()


async def test_a_host_that_is_not_ours_is_refused() -> None:
    with pytest.raises((Conflict, InvalidSettings)):
        await GatewayServer(hello(), "192.0.2.1", 0).start()


async def test_signals_are_left_to_the_program() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    server = GatewayServer(hello(), "127.0.0.1", 0)
    await server.start()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    await server.stop()
