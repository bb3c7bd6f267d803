"""The gateway over real HTTP, with a real Redis behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import websockets.asyncio.client as ws
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dashboards.gateway import create_app
from dashboards.server import GatewayServer
from streaming.results import Channel, ResultReader, ResultWriter
from streaming.settings import Settings
from streaming.store_server import StoreServer
from streaming.vocabulary import Clock, FrameResult, Latency, StreamId
from tests.doubles import MemoryControl

TOKEN = "a-token-of-the-tests"
AUTH = {"Authorization": f"Bearer {TOKEN}"}
SDP = {"Content-Type": "application/sdp"}


@dataclass
class Service:
    control: MemoryControl
    http: httpx.AsyncClient
    url: str
    redis_url: SecretStr


@pytest.fixture
async def service(redis_server: StoreServer) -> AsyncIterator[Service]:
    control = MemoryControl()
    reader = ResultReader(redis_server.url)
    server = GatewayServer(create_app(control, reader, Settings(), SecretStr(TOKEN)), "127.0.0.1", 0)
    url = await server.start()
    async with httpx.AsyncClient(base_url=url, headers=AUTH) as http:
        yield Service(control, http, url, redis_server.url)
    await server.stop()
    await reader.close()


def frame(stream_id: str, index: int) -> FrameResult:
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


async def add(service: Service, stream_id: str, url: str = "rtsp://camera.example/1") -> httpx.Response:
    return await service.http.post("/v1/streams", json={"stream_id": stream_id, "url": url})


def is_problem(response: httpx.Response, status: int, code: str) -> bool:
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = response.json()
    assert body["status"] == response.status_code == status, body
    assert body["code"] == code, body
    assert body["title"] and body["detail"]
    return True


async def test_a_stream_is_added_shown_and_removed(service: Service) -> None:
    added = await add(service, "gate")
    assert added.status_code == 201
    assert added.headers["location"] == "/v1/streams/gate"
    assert (await service.http.get("/v1/streams/gate")).json() == added.json()
    assert [one["stream_id"] for one in (await service.http.get("/v1/streams")).json()] == ["gate"]
    assert (await service.http.delete("/v1/streams/gate")).status_code == 204
    assert is_problem(await service.http.get("/v1/streams/gate"), 404, "not_found")


async def test_a_query_is_asked_edited_under_its_id_and_removed(service: Service) -> None:
    await add(service, "gate")
    asked = await service.http.post("/v1/streams/gate/queries", json={"text": "  the red car "})
    assert asked.status_code == 201
    assert asked.json()["text"] == "the red car"
    where = asked.headers["location"]
    edited = await service.http.patch(where, json={"text": "the blue car"})
    assert edited.json()["query_id"] == asked.json()["query_id"]
    assert (edited.json()["text"], edited.json()["revision"]) == ("the blue car", 2)
    listed = (await service.http.get("/v1/streams/gate/queries")).json()
    assert listed == [edited.json()] == (await service.http.get("/v1/streams/gate")).json()["queries"]
    assert (await service.http.delete(where)).status_code == 204
    assert is_problem(await service.http.patch(where, json={"text": "x"}), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/streams", {"stream_id": "a b", "url": "rtsp://x/"}, 422, "invalid_stream"),
        ("POST", "/v1/streams", {"stream_id": "x" * 65, "url": "rtsp://x/"}, 422, "invalid_stream"),
        ("POST", "/v1/streams", {"stream_id": "ok", "url": "nonsense"}, 422, "invalid_stream"),
        ("POST", "/v1/streams", {"stream_id": "ok", "url": "rtsp://10.0.0.1/"}, 403, "refused_address"),
        ("POST", "/v1/streams", {"stream_id": "here", "url": "rtsp://x/"}, 409, "conflict"),
        ("POST", "/v1/streams", {"stream_id": "ok"}, 422, "invalid_request"),
        ("POST", "/v1/streams", {"stream_id": 7, "url": "rtsp://x/"}, 422, "invalid_request"),
        ("POST", "/v1/streams", {"stream_id": "ok", "url": "rtsp://x/", "z": 1}, 422, "invalid_request"),
        ("POST", "/v1/streams/here/queries", {"text": " \t "}, 422, "invalid_query"),
        ("POST", "/v1/streams/here/queries", {"text": "x" * 10_000}, 422, "invalid_query"),
        ("POST", "/v1/streams/here/queries", {"text": "red\x00car"}, 422, "invalid_query"),
        ("POST", "/v1/streams/here/queries", {"text": "x", "kind": "paint"}, 422, "invalid_request"),
        ("POST", "/v1/streams/gone/queries", {"text": "the car"}, 404, "not_found"),
        ("GET", "/v1/streams/gone/queries", None, 404, "not_found"),
        ("GET", "/v1/streams/gone/results", None, 404, "not_found"),
        ("GET", "/v1/streams/here/results?count=0", None, 422, "invalid_request"),
        ("GET", "/v1/streams/here/results?channel=pixels", None, 422, "invalid_request"),
        ("DELETE", "/v1/streams/gone", None, 404, "not_found"),
        ("GET", "/v1/queries/q999", None, 404, "not_found"),
        ("GET", "/v1/nothing", None, 404, "not_found"),
        ("GET", "/nothing.js", None, 404, "not_found"),
        ("GET", "/../pyproject.toml", None, 404, "not_found"),
        ("PUT", "/v1/streams", {}, 405, "method_not_allowed"),
    ],
)
async def test_a_wrong_request_is_a_problem_with_its_status(
    service: Service, method: str, path: str, body: object, status: int, code: str
) -> None:
    await add(service, "here")
    assert is_problem(await service.http.request(method, path, json=body), status, code)
    assert (await service.http.get("/v1/streams/here")).json()["queries"] == []


async def test_what_is_not_json_is_a_problem(service: Service) -> None:
    broken = await service.http.post(
        "/v1/streams", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert is_problem(broken, 422, "invalid_request")


async def test_at_the_limit_the_next_stream_is_refused(service: Service) -> None:
    for number in range(4):
        assert (await add(service, f"s{number}")).status_code == 201
    assert is_problem(await add(service, "s4"), 429, "limit_reached")


async def test_a_body_above_the_limit_is_refused_however_it_is_sent(service: Service) -> None:
    big = b"x" * 70_000
    assert is_problem(await service.http.post("/v1/streams", content=big), 413, "too_large")

    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1_000

    assert is_problem(await service.http.post("/v1/streams", content=in_pieces()), 413, "too_large")


async def test_without_the_token_one_may_look_and_change_nothing(service: Service) -> None:
    await add(service, "gate")
    async with httpx.AsyncClient(base_url=service.url) as stranger:
        assert (await stranger.get("/v1/streams")).status_code == 200
        body = {"stream_id": "x", "url": "rtsp://x/"}
        refused = await stranger.post("/v1/streams", json=body)
        assert is_problem(refused, 401, "unauthorised")
        assert refused.headers["www-authenticate"].startswith("Bearer")
        wrong = await stranger.delete("/v1/streams/gate", headers={"Authorization": "Bearer wrong"})
        assert is_problem(wrong, 401, "unauthorised")
        assert is_problem(await stranger.post("/whip/gate", content="v=0", headers=SDP), 401, "unauthorised")
    assert (await service.http.get("/v1/streams/gate")).status_code == 200


async def test_a_name_that_is_not_ours_is_not_answered(service: Service) -> None:
    rebound = await service.http.get("/v1/streams", headers={"Host": "evil.example"})
    assert is_problem(rebound, 421, "wrong_host")


async def test_another_sites_page_may_not_ask(service: Service) -> None:
    foreign = await service.http.get("/v1/streams", headers={"Origin": "https://evil.example"})
    assert is_problem(foreign, 403, "foreign_origin")
    own = await service.http.get("/v1/streams", headers={"Origin": service.url})
    assert own.status_code == 200


async def test_whip_and_whep_open_and_end_sessions(service: Service) -> None:
    await add(service, "phone", "whip:")
    offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
    for protocol in ("whip", "whep"):
        opened = await service.http.post(f"/{protocol}/phone", content=offer, headers=SDP)
        assert opened.status_code == 201
        assert opened.headers["content-type"] == "application/sdp"
        assert opened.text.startswith("v=0")
        where = opened.headers["location"]
        assert where.startswith(f"/{protocol}/phone/")
        assert is_problem(await service.http.patch(where, content=""), 405, "method_not_allowed")
        assert (await service.http.delete(where)).status_code == 200
        assert is_problem(await service.http.delete(where), 404, "not_found")


async def test_a_second_publisher_is_refused(service: Service) -> None:
    await add(service, "phone", "whip:")
    assert (await service.http.post("/whip/phone", content="v=0", headers=SDP)).status_code == 201
    assert is_problem(await service.http.post("/whip/phone", content="v=0", headers=SDP), 409, "conflict")


async def test_what_is_no_offer_is_refused(service: Service) -> None:
    await add(service, "phone", "whip:")
    wrong_type = await service.http.post("/whip/phone", json={"sdp": "v=0"})
    assert is_problem(wrong_type, 415, "unsupported_media_type")
    assert wrong_type.headers["accept-post"] == "application/sdp"
    assert is_problem(
        await service.http.post("/whip/phone", content=b"\xff\xfe", headers=SDP), 400, "invalid_sdp"
    )
    assert is_problem(await service.http.post("/whip/phone", content="", headers=SDP), 400, "invalid_sdp")
    assert is_problem(await service.http.post("/whep/gone", content="v=0", headers=SDP), 404, "not_found")
    options = await service.http.options("/whip/phone")
    assert (options.status_code, options.headers["accept-post"]) == (204, "application/sdp")


async def test_it_is_ready_when_every_part_is_and_says_why_not(service: Service) -> None:
    assert (await service.http.get("/live")).json() == {"live": True}
    assert (await service.http.get("/ready")).json()["ready"] is True
    service.control.parts["grounder"] = "starting"
    waiting = await service.http.get("/ready")
    assert is_problem(waiting, 503, "service_unavailable")
    assert waiting.json()["parts"]["grounder"] == "starting"
    assert waiting.headers["retry-after"] == "1"
    assert (await service.http.get("/v1/status")).json()["ready"] is False


async def test_metrics_are_prometheus_text(service: Service) -> None:
    told = await service.http.get("/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"saccade_stream_up" in told.content


async def test_every_answer_carries_the_security_headers(service: Service) -> None:
    for path in ("/", "/v1/streams", "/nothing"):
        headers = (await service.http.get(path)).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    assert (await service.http.get("/v1/streams")).headers["cache-control"] == "no-store"


async def test_openapi_names_every_route_and_the_token(service: Service) -> None:
    schema = (await service.http.get("/openapi.json")).json()
    routes = {(path, method) for path, item in schema["paths"].items() for method in item}
    assert {
        ("/v1/streams", "post"),
        ("/v1/streams/{stream_id}/queries", "post"),
        ("/v1/streams/{stream_id}/results", "get"),
        ("/v1/queries/{query_id}", "patch"),
        ("/whip/{stream_id}", "post"),
        ("/whep/{stream_id}/{session_id}", "delete"),
        ("/ready", "get"),
    } <= routes
    assert schema["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert all("summary" in operation for item in schema["paths"].values() for operation in item.values())


async def test_the_latest_results_are_what_redis_keeps(service: Service) -> None:
    await add(service, "late")
    writer = ResultWriter(service.redis_url, frames_maxlen=100, notes_maxlen=100)
    for index in range(5):
        writer.publish(frame("late", index))
    await asyncio.to_thread(writer.close)
    told = (await service.http.get("/v1/streams/late/results?count=3")).json()
    assert [one["frame_index"] for one in told] == [2, 3, 4]
    assert told[0]["schema"] == "saccade.frame/1"
    assert (await service.http.get("/v1/streams/late/results?channel=events")).json() == []


async def test_the_feed_brings_results_as_they_come(service: Service) -> None:
    await add(service, "fed")
    writer = ResultWriter(service.redis_url, frames_maxlen=100, notes_maxlen=100)
    async with ws.connect(feed_url(service, "fed"), subprotocols=["saccade"]) as viewer:
        assert viewer.subprotocol == "saccade"
        seen = []
        for index in range(1_000):
            writer.publish(frame("fed", index))
            with contextlib.suppress(TimeoutError):
                seen.append(json.loads(await asyncio.wait_for(viewer.recv(), 0.01))["frame_index"])
            if len(seen) == 20:
                break
    await asyncio.to_thread(writer.close)
    assert len(seen) == 20
    assert seen == sorted(set(seen))


async def test_a_feed_of_nothing_is_refused(service: Service) -> None:
    for path in ("/v1/streams/gone/feed", "/app.js", "/"):
        with pytest.raises(InvalidStatus) as refused:
            await ws.connect(service.url.replace("http", "ws") + path)
        assert refused.value.response.status_code == 404
        assert json.loads(refused.value.response.body or b"{}")["code"] == "not_found"


async def test_a_feed_ends_when_its_stream_is_removed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboards.feed._SILENCE_S", 0.05)
    await add(service, "short")
    async with ws.connect(feed_url(service, "short")) as viewer:
        await service.http.delete("/v1/streams/short")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(viewer.recv(), 5)
        assert viewer.close_code == 4404


async def test_another_sites_page_gets_no_feed(service: Service) -> None:
    await add(service, "fed")
    with pytest.raises(InvalidStatus) as refused:
        await ws.connect(feed_url(service, "fed"), origin="https://evil.example")  # type: ignore[arg-type]
    assert refused.value.response.status_code == 403


async def test_where_others_can_reach_us_reading_needs_the_token_too(redis_server: StoreServer) -> None:
    control = MemoryControl()
    reader = ResultReader(redis_server.url)
    app = create_app(control, reader, Settings(host="0.0.0.0"), SecretStr(TOKEN))
    server = GatewayServer(app, "127.0.0.1", 0)
    url = await server.start()
    async with httpx.AsyncClient(base_url=url) as stranger:
        for path in ("/v1/streams", "/metrics", "/openapi.json", "/v1/status"):
            assert is_problem(await stranger.get(path), 401, "unauthorised")
        for path in ("/live", "/ready", "/"):
            assert (await stranger.get(path)).status_code == 200
        made = await stranger.post("/v1/streams", json={"stream_id": "x", "url": "rtsp://x/"}, headers=AUTH)
        assert made.status_code == 201
    socket_url = url.replace("http", "ws") + "/v1/streams/x/feed"
    with pytest.raises(InvalidStatus) as refused:
        await ws.connect(socket_url)
    assert refused.value.response.status_code == 401
    async with ws.connect(socket_url, subprotocols=["saccade", f"bearer.{TOKEN}"]) as viewer:  # type: ignore[list-item]
        assert viewer.subprotocol == "saccade"
    await server.stop()
    await reader.close()


async def test_redis_away_is_said_and_the_rest_goes_on(own_redis: StoreServer) -> None:
    control = MemoryControl()
    reader = ResultReader(own_redis.url)
    server = GatewayServer(create_app(control, reader, Settings(), SecretStr(TOKEN)), "127.0.0.1", 0)
    url = await server.start()
    own_redis.stop()
    async with httpx.AsyncClient(base_url=url, headers=AUTH) as http:
        await http.post("/v1/streams", json={"stream_id": "x", "url": "rtsp://x/"})
        away = await http.get("/v1/streams/x/results")
        assert is_problem(away, 503, "store_unavailable")
        assert away.headers["retry-after"] == "1"
        assert (await http.get("/v1/streams")).status_code == 200
    await server.stop()
    await reader.close()


async def test_our_own_bug_is_a_problem_that_tells_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise KeyError("the-secret")

    monkeypatch.setattr(service.control, "list_streams", broken)
    failed = await service.http.get("/v1/streams")
    assert is_problem(failed, 500, "error")
    assert "the-secret" not in failed.text


def feed_url(service: Service, stream_id: str) -> str:
    return service.url.replace("http", "ws") + f"/v1/streams/{stream_id}/feed"


def test_every_channel_has_a_name_in_the_api() -> None:
    assert {channel.value for channel in Channel} == {"frames", "events", "answers", "errors"}
