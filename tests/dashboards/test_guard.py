"""Access control: hosts, origins, tokens, sizes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import websockets.asyncio.client as ws
from pydantic import SecretStr
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from actors.redis_server import RedisServer
from dashboards.guard import AccessRules, RequestInfo
from streaming.settings import Settings
from tests.served import AUTH, TOKEN, Service, is_problem, serve


async def test_a_body_above_the_limit_is_refused_with_and_without_content_length(served: Service) -> None:
    big = b"x" * 70_000
    assert is_problem(await served.http.post("/v1/streams", content=big), 413, "too_large")

    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1_000

    assert is_problem(await served.http.post("/v1/streams", content=in_pieces()), 413, "too_large")


async def test_without_the_token_one_may_look_and_change_nothing(served: Service) -> None:
    await served.add("gate")
    assert (await served.anonymous.get("/v1/streams")).status_code == 200
    refused = await served.anonymous.post("/v1/streams", json={"stream_id": "x", "url": "rtsp://x/"})
    assert is_problem(refused, 401, "unauthorised")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    wrong = await served.anonymous.delete("/v1/streams/gate", headers={"Authorization": "Bearer wrong"})
    assert is_problem(wrong, 401, "unauthorised")
    assert (await served.http.get("/v1/streams/gate")).status_code == 200


async def test_a_name_that_is_not_ours_is_not_answered(served: Service) -> None:
    rebound = await served.http.get("/v1/streams", headers={"Host": "evil.example"})
    assert is_problem(rebound, 421, "wrong_host")


async def test_another_sites_page_may_not_ask(served: Service) -> None:
    foreign = await served.http.get("/v1/streams", headers={"Origin": "https://evil.example"})
    assert is_problem(foreign, 403, "foreign_origin")
    own = await served.http.get("/v1/streams", headers={"Origin": served.url})
    assert own.status_code == 200


async def test_every_response_has_the_security_headers(served: Service) -> None:
    for path in ("/", "/v1/streams", "/nothing"):
        headers = (await served.http.get(path)).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert (await served.http.get("/v1/streams")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "203.0.113.5"},
        {"X-Forwarded-Proto": "https"},
        {"x-forwarded-server": "proxy"},
        {"Forwarded": "for=203.0.113.5"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "203.0.113.5"},
        {"CF-Connecting-IP": "203.0.113.5"},
    ],
)
async def test_a_request_that_a_proxy_passed_on_is_never_from_this_machine(
    served: Service, header: dict[str, str]
) -> None:
    await served.add("gate")
    assert is_problem(await served.anonymous.get("/v1/streams", headers=header), 401, "unauthorised")
    offer = {"content": "v=0", "headers": header | {"Content-Type": "application/sdp"}}
    assert is_problem(await served.anonymous.post("/whep/gate", **offer), 401, "unauthorised")
    assert (await served.http.get("/v1/streams", headers=header)).status_code == 200
    with pytest.raises(InvalidStatus) as refused:
        await ws.connect(served.feed_url("gate"), additional_headers=header)
    assert refused.value.response.status_code == 401
    assert (await served.anonymous.get("/v1/streams")).status_code == 200


async def test_a_proxy_that_adds_no_header_is_known_by_its_http_version(served: Service) -> None:
    """nginx with `proxy_pass` alone asks in HTTP/1.0, with our address as Host."""
    host = urlsplit(served.url).netloc
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(f"GET /v1/streams HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert b" 401 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_server_names_are_answered_and_their_pages_are_ours(redis_server: RedisServer) -> None:
    async with serve(redis_server, Settings(server_names=["Cam.example"])) as served:
        named = {"Host": "cam.example", "Origin": "https://cam.example"}
        assert (await served.http.get("/v1/streams", headers=named)).status_code == 200
        replaced = {"Host": urlsplit(served.url).netloc, "Origin": "https://cam.example:8443"}
        assert (await served.http.get("/v1/streams", headers=replaced)).status_code == 200
        other = await served.http.get("/v1/streams", headers={"Host": "evil.example"})
        assert is_problem(other, 421, "wrong_host")
        foreign = await served.http.get("/v1/streams", headers={"Origin": "https://evil.example"})
        assert is_problem(foreign, 403, "foreign_origin")


@pytest.mark.parametrize("below", ["", "/watch/live"])
async def test_below_a_root_path_the_token_is_needed_and_places_have_it(
    redis_server: RedisServer, below: str
) -> None:
    """Whether the proxy removed the path or not."""
    async with serve(redis_server, Settings(host="0.0.0.0", root_path="/watch/live")) as served:
        refused = await served.anonymous.get(f"{below}/v1/streams")
        assert is_problem(refused, 401, "unauthorised")
        twice = await served.anonymous.get("/watch/live/watch/live/v1/streams")
        assert is_problem(twice, 404, "not_found")
        added = await served.http.post(f"{below}/v1/streams", json={"stream_id": "a", "url": "whip:"})
        assert added.headers["location"] == "/watch/live/v1/streams/a"
        asked_there = await served.http.post(f"{below}/v1/streams/a/queries", json={"text": "the cup"})
        assert asked_there.headers["location"].startswith("/watch/live/v1/queries/")
        offer = {"content": "v=0", "headers": {"Content-Type": "application/sdp"}}
        opened = await served.http.post(f"{below}/whip/a", **offer)
        assert opened.headers["location"].startswith("/watch/live/whip/a/")
        assert (await served.http.delete(opened.headers["location"])).status_code == 200
        assert (await served.anonymous.get(f"{below}/app.js")).status_code == 200
        async with ws.connect(
            f"{served.url.replace('http', 'ws')}{below}/v1/streams/a/feed", additional_headers=AUTH
        ):
            pass


async def test_another_sites_page_gets_no_feed(served: Service) -> None:
    await served.add("fed")
    with pytest.raises(InvalidStatus) as refused:
        await ws.connect(served.feed_url("fed"), origin=Origin("https://evil.example"))
    assert refused.value.response.status_code == 403


async def test_where_others_can_reach_us_reading_needs_the_token_too(redis_server: RedisServer) -> None:
    async with serve(redis_server, Settings(host="0.0.0.0")) as served:
        for path in ("/v1/streams", "/metrics", "/openapi.json", "/v1/status"):
            assert is_problem(await served.anonymous.get(path), 401, "unauthorised")
        for path in ("/live", "/ready", "/"):
            assert (await served.anonymous.get(path)).status_code == 200
        assert (await served.add("gate")).status_code == 201
        with pytest.raises(InvalidStatus) as refused:
            await ws.connect(served.feed_url("gate"))
        assert refused.value.response.status_code == 401
        offered = [Subprotocol("saccade"), Subprotocol(f"bearer.{TOKEN}")]
        async with ws.connect(served.feed_url("gate"), subprotocols=offered) as viewer:
            assert viewer.subprotocol == "saccade"
        async with ws.connect(served.feed_url("gate"), additional_headers=AUTH) as viewer:
            assert viewer.subprotocol is None


async def test_an_allowed_origin_gets_cors_headers(redis_server: RedisServer) -> None:
    wall = {"Origin": "https://wall.example"}
    async with serve(redis_server, Settings(allowed_origins=["https://wall.example"])) as served:
        told = await served.http.get("/v1/streams", headers=wall)
        assert told.headers["access-control-allow-origin"] == "https://wall.example"
        refused = await served.anonymous.post("/v1/streams", json={}, headers=wall)
        assert is_problem(refused, 401, "unauthorised")
        assert refused.headers["access-control-allow-origin"] == "https://wall.example"
        preflight = wall | {"Access-Control-Request-Method": "POST"}
        assert (await served.anonymous.options("/v1/streams", headers=preflight)).status_code == 200


LOCAL = AccessRules(Settings(), SecretStr(TOKEN))
NAMED = AccessRules(Settings(server_names=["cam.example", "[2001:db8::1]:8443"]), SecretStr(TOKEN))
OPEN = AccessRules(Settings(host="192.0.2.7"), SecretStr(TOKEN))


def asked(
    method: str = "GET",
    path: str = "/v1/streams",
    *,
    host: str = "127.0.0.1:8400",
    origin: str | None = None,
    token: str | None = None,
    forwarded: bool = False,
) -> RequestInfo:
    return RequestInfo(method, path, host, origin, token, forwarded)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8400", "localhost:1", "LOCALHOST", "[::1]:8400"])
def test_on_loopback_our_own_names_are_answered(host: str) -> None:
    assert LOCAL.refusal(asked(host=host)) is None


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::1", "a@b", "x:y"]
)
def test_on_loopback_no_other_name_is(host: str) -> None:
    problem = LOCAL.refusal(asked(host=host))
    assert problem is not None
    assert problem.status == 421


@pytest.mark.parametrize(
    "origin", ["null", "https://evil.example", "http://127.0.0.1:9999", "http://localhost:8400", ""]
)
def test_an_origin_that_is_not_exactly_ours_is_foreign(origin: str) -> None:
    problem = LOCAL.refusal(asked(origin=origin, token=TOKEN))
    assert problem is not None
    assert problem.code == "foreign_origin"


@pytest.mark.parametrize(
    ("method", "path", "needs_locally", "needs_in_the_open"),
    [
        ("GET", "/v1/streams", False, True),
        ("POST", "/v1/streams", True, True),
        ("PATCH", "/v1/queries/q", True, True),
        ("DELETE", "/v1/streams/a", True, True),
        ("POST", "/whip/a", True, True),
        ("DELETE", "/whip/a/s", True, True),
        ("POST", "/whep/a", False, True),
        ("GET", "/metrics", False, True),
        ("GET", "/live", False, False),
        ("GET", "/ready", False, False),
        ("GET", "/", False, False),
        ("GET", "/app.js", False, False),
        ("GET", "/v1", False, True),
        ("GET", "/v1x", False, False),
    ],
)
def test_which_requests_need_the_token(
    method: str, path: str, needs_locally: bool, needs_in_the_open: bool
) -> None:
    for rules, forwarded, needed in (
        (LOCAL, False, needs_locally),
        (LOCAL, True, needs_in_the_open),
        (NAMED, False, needs_in_the_open),
        (OPEN, False, needs_in_the_open),
    ):
        without = rules.refusal(asked(method, path, forwarded=forwarded))
        assert (without is not None and without.status == 401) == needed
        assert rules.refusal(asked(method, path, token=TOKEN)) is None
        if needed:
            assert rules.refusal(asked(method, path, token=TOKEN[:-1], forwarded=forwarded)) is not None
            assert rules.refusal(asked(method, path, token="tökén", forwarded=forwarded)) is not None
