"""REST over HTTP against a real Redis."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
import websockets.asyncio.client as ws
from websockets.exceptions import InvalidStatus

from actors.redis_server import RedisServer
from streaming.results.writer import ResultWriter
from streaming.settings import Settings
from tests.served import Service, frame, is_problem, serve


async def test_a_stream_is_added_shown_and_removed(served: Service) -> None:
    added = await served.add("gate")
    assert added.status_code == 201
    assert added.headers["location"] == "/v1/streams/gate"
    assert (await served.http.get("/v1/streams/gate")).json() == added.json()
    assert [one["stream_id"] for one in (await served.http.get("/v1/streams")).json()] == ["gate"]
    assert (await served.http.delete("/v1/streams/gate")).status_code == 204
    assert is_problem(await served.http.get("/v1/streams/gate"), 404, "not_found")


async def test_a_query_is_asked_edited_under_its_id_and_removed(served: Service) -> None:
    await served.add("gate")
    asked = await served.http.post("/v1/streams/gate/queries", json={"text": "  the red car "})
    assert asked.status_code == 201
    assert asked.json()["text"] == "the red car"
    where = asked.headers["location"]
    edited = await served.http.patch(where, json={"text": "the blue car"})
    assert edited.json()["query_id"] == asked.json()["query_id"]
    assert (edited.json()["text"], edited.json()["revision"]) == ("the blue car", 2)
    listed = (await served.http.get("/v1/streams/gate/queries")).json()
    assert listed == [edited.json()] == (await served.http.get("/v1/streams/gate")).json()["queries"]
    assert (await served.http.delete(where)).status_code == 204
    assert is_problem(await served.http.patch(where, json={"text": "x"}), 404, "not_found")


async def test_a_question_about_a_region_keeps_its_region(served: Service) -> None:
    await served.add("gate")
    about = {"text": "What is this?", "kind": "ask", "region": [0.25, 0.5, 0.25, 0.5]}
    asked = await served.http.post("/v1/streams/gate/queries", json=about)
    assert (asked.status_code, asked.json()["region"]) == (201, about["region"])
    edited = await served.http.patch(asked.headers["location"], json={"text": "What is that?"})
    assert edited.json()["region"] == about["region"]


WRONG: list[tuple[str, str, object, int, str]] = [
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
    ("POST", "/v1/streams/here/queries", {"text": "x", "region": [0, 0, 1, 1]}, 422, "invalid_query"),
    (
        "POST",
        "/v1/streams/here/queries",
        {"text": "x", "kind": "ask", "region": [0, 0, 1, 2]},
        422,
        "invalid_query",
    ),
    (
        "POST",
        "/v1/streams/here/queries",
        {"text": "x", "kind": "ask", "region": [0, 1]},
        422,
        "invalid_request",
    ),
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
    ("GET", "/whip/here", None, 405, "method_not_allowed"),
    ("POST", "/app.js", None, 405, "method_not_allowed"),
]


async def test_a_wrong_request_is_a_problem_with_its_status_and_changes_nothing(served: Service) -> None:
    await served.add("here")
    for method, path, body, status, code in WRONG:
        response = await served.http.request(method, path, json=body)
        assert is_problem(response, status, code), (method, path)
    assert (await served.http.get("/v1/streams/here")).json()["queries"] == []
    assert len((await served.http.get("/v1/streams")).json()) == 1


async def test_a_wrong_method_gets_405_with_allow(served: Service) -> None:
    refused = await served.http.put("/v1/streams/here", json={})
    assert is_problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"]


async def test_the_page_and_its_files_are_served(served: Service) -> None:
    page = await served.anonymous.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for path in re.findall(r'(?:src|href)="([\w.-]+\.(?:js|css|svg))"', page.text):
        assert (await served.anonymous.get(f"/{path}")).status_code == 200
    assert (await served.anonymous.head("/app.js")).headers["cache-control"] == "no-cache"


async def test_a_body_that_is_not_json_is_a_problem(served: Service) -> None:
    broken = await served.http.post("/v1/streams", content=b"{", headers={"Content-Type": "application/json"})
    assert is_problem(broken, 422, "invalid_request")


async def test_at_the_limit_the_next_stream_is_refused(served: Service) -> None:
    for number in range(4):
        assert (await served.add(f"s{number}")).status_code == 201
    assert is_problem(await served.add("s4"), 429, "limit_reached")


async def test_ready_lists_the_parts_that_are_not_ok(served: Service) -> None:
    assert (await served.http.get("/live")).json() == {"live": True}
    assert (await served.http.get("/ready")).json()["ready"] is True
    served.control.parts["grounder"] = "starting"
    waiting = await served.http.get("/ready")
    assert is_problem(waiting, 503, "service_unavailable")
    assert waiting.json()["parts"]["grounder"] == "starting"
    assert waiting.headers["retry-after"] == "1"
    assert (await served.http.get("/v1/status")).json()["ready"] is False


async def test_it_tells_which_words_are_worth_a_try(redis_server: RedisServer) -> None:
    async with serve(redis_server, Settings(examples=["the red car"])) as served:
        assert (await served.http.get("/v1/status")).json()["examples"] == ["the red car"]


async def test_metrics_are_prometheus_text(served: Service) -> None:
    told = await served.http.get("/metrics")
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b"saccade_stream_up" in told.content


async def test_openapi_names_every_route_and_the_token(served: Service) -> None:
    schema = (await served.http.get("/openapi.json")).json()
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


async def test_latest_results_are_the_stored_messages(served: Service) -> None:
    await served.add("late")
    writer = ResultWriter(served.redis_url, frames_maxlen=100, notes_maxlen=100)
    for index in range(5):
        writer.publish(frame("late", index))
    await asyncio.to_thread(writer.close)
    told = (await served.http.get("/v1/streams/late/results?count=3")).json()
    assert [one["frame_index"] for one in told] == [2, 3, 4]
    assert told[0]["schema"] == "saccade.frame/1"
    assert (await served.http.get("/v1/streams/late/results?channel=events")).json() == []


async def test_a_feed_of_nothing_is_refused(served: Service) -> None:
    for path in ("/v1/streams/gone/feed", "/app.js", "/"):
        with pytest.raises(InvalidStatus) as refused:
            await ws.connect(served.url.replace("http", "ws") + path)
        assert refused.value.response.status_code == 404
        assert json.loads(refused.value.response.body or b"{}")["code"] == "not_found"


async def test_without_redis_results_fail_and_other_routes_work(own_redis: RedisServer) -> None:
    async with serve(own_redis, Settings()) as served:
        await served.add("here")
        own_redis.stop()
        away = await served.http.get("/v1/streams/here/results")
        assert is_problem(away, 503, "store_unavailable")
        assert away.headers["retry-after"] == "1"
        assert (await served.http.get("/v1/streams")).status_code == 200


async def test_our_own_bug_is_a_problem_that_tells_nothing(
    served: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise KeyError("the-secret")

    monkeypatch.setattr(served.control, "list_streams", broken)
    failed = await served.http.get("/v1/streams")
    assert is_problem(failed, 500, "error")
    assert "the-secret" not in failed.text
