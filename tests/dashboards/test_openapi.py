"""OpenAPI says of every operation what the service does: who needs the token, which methods there are."""

from __future__ import annotations

import pytest

from tests.served import Service

BODIES = {
    "/v1/streams": {"stream_id": "here", "url": "rtsp://192.0.2.1/"},
    "/v1/streams/{stream_id}/queries": {"text": "the car"},
    "/v1/queries/{query_id}": {"text": "the car"},
}


def concrete(path: str) -> str:
    return path.format(stream_id="gone", query_id="gone", session_id="gone") if "{" in path else path


async def test_an_operation_needs_the_token_exactly_where_openapi_says_so(served: Service) -> None:
    schema = (await served.http.get("/openapi.json")).json()
    optional = required = 0
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            answer = await served.anonymous.request(method.upper(), concrete(path), json=BODIES.get(path))
            needs = operation["security"] == [{"HTTPBearer": []}]
            assert (answer.status_code == 401) == needs, (method, path, operation["security"])
            required += needs
            optional += operation["security"] == [{"HTTPBearer": []}, {}]
    assert required > 4 and optional > 4
    assert not schema["paths"]["/live"]["get"]["security"], "for probes: no token from anywhere"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/streams"),
        ("PUT", "/v1/streams/here"),
        ("POST", "/v1/queries/q1"),
        ("PATCH", "/whip/here"),
    ],
)
async def test_allow_names_all_methods_of_a_path(served: Service, method: str, path: str) -> None:
    schema = (await served.http.get("/openapi.json")).json()
    refused = await served.http.request(method, path, json={})
    assert refused.status_code == 405
    template = path.replace("here", "{stream_id}").replace("q1", "{query_id}")
    described = {name.upper() for name in schema["paths"][template]}
    assert described <= set(refused.headers["allow"].split(", ")) <= described | {"OPTIONS", "HEAD"}
