"""Tests of the REST client against an HTTP server on loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from actors.cli.api_client import ServiceClient
from streaming.errors import Conflict, InvalidSettings, SaccadeError, ServiceUnavailable
from tests.up import UNREACHABLE_PROXY


class Handler(BaseHTTPRequestHandler):
    """Returns the request on /echo, problem+json on /problem, and an HTML error elsewhere."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self.send_response(204)
        self.end_headers()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/echo":
            answer = {"authorization": self.headers.get("Authorization"), "body": json.loads(body or "null")}
            self._send(200, answer)
        elif self.path == "/problem":
            self._send(
                409,
                {
                    "title": "Conflict",
                    "detail": "It is taken.",
                    "remedy": "Take another.",
                    "code": "conflict",
                },
            )
        else:
            self.send_response(500)
            self.end_headers()
            self.wfile.write(b"<html>proxy error</html>")

    def _send(self, status: int, answer: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Write no log."""


@pytest.fixture
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def test_a_call_carries_the_token_and_the_body(server: str) -> None:
    with ServiceClient(server, "secret") as client:
        assert client.post("/echo", {"id": "a"}) == {"authorization": "Bearer secret", "body": {"id": "a"}}


def test_problem_json_becomes_the_error_of_its_code(server: str) -> None:
    with ServiceClient(server, None) as client, pytest.raises(Conflict) as caught:
        client.get("/problem")
    assert str(caught.value) == "It is taken. Take another."


def test_an_error_without_problem_json_is_raised_with_its_status(server: str) -> None:
    with ServiceClient(server, None) as client, pytest.raises(SaccadeError, match="HTTP 500"):
        client.get("/elsewhere")


def test_an_empty_response_is_none(server: str) -> None:
    with ServiceClient(server, None) as client:
        client.delete("/echo")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense"])
def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    server: str, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    _set_proxy(monkeypatch, proxy)
    for place in (server, server.replace("127.0.0.1", "localhost")):
        with ServiceClient(place, None) as client:
            client.delete("/echo")


def test_a_proxy_that_cannot_be_used_for_another_machine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for proxy in ("socks5://127.0.0.1:9", "nonsense://127.0.0.1:9"):
        _set_proxy(monkeypatch, proxy)
        with pytest.raises(InvalidSettings, match=r"ALL_PROXY cannot be used.*NO_PROXY"):
            ServiceClient("http://192.0.2.1:8400", None)


def test_a_service_below_a_path_is_called_there(server: str) -> None:
    for place in (f"{server}/echo", f"{server}/echo/"):
        with ServiceClient(place, None) as client, pytest.raises(SaccadeError, match="HTTP 500"):
            client.get("/problem")


def _set_proxy(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name, value in (UNREACHABLE_PROXY | {"ALL_PROXY": proxy, "HTTP_PROXY": proxy}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("http_proxy", proxy)


def test_without_a_service_the_error_says_how_to_start_one() -> None:
    with (
        ServiceClient("http://127.0.0.1:1", None) as client,
        pytest.raises(ServiceUnavailable, match="saccade up"),
    ):
        client.get("/v1/streams")
