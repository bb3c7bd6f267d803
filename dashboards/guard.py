"""Access control, before routing: host, origin, token, size of the body.

- Host: on loopback only loopback names and `server_names` are accepted, or a web site could point its name at
  127.0.0.1 and read the service (DNS rebinding).
- Origin: requests of other sites' pages are refused unless `allowed_origins` or `server_names` has the site.
- Token: required to change the service; to read, unless the request comes from this machine: the gateway is
  bound to loopback and no proxy passed the request on. Public: `/live`, `/ready` and the page's files, which
  contain no secrets. WHEP counts as reading.
- Size: a body above MAX_BODY_BYTES is refused and not buffered.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.auth import is_token
from dashboards.problems import Problem, problem_of
from streaming.errors import Unauthorised
from streaming.settings import Settings
from streaming.url_guard import is_loopback

MAX_BODY_BYTES: Final = 64 << 10
"A browser's SDP offer has about 8 KiB, a query of 10,000 characters at most 60 KiB."

_MAX_DISCARDED_BYTES: Final = 1 << 20

TOKEN_PROTOCOL: Final = "bearer."  # noqa: S105 - a prefix
"Browsers cannot set headers of a WebSocket: they offer the subprotocols `saccade` and `bearer.<token>`."

_API: Final = ("/v1", "/whip", "/whep", "/metrics", "/openapi.json")
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_PROXY_HEADERS: Final = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "x-original-host", "cf-connecting-ip", "true-client-ip"}
)
"Besides `X-Forwarded-*`: headers that reverse proxies add, and clients do not send."
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """The parts of a request that access depends on."""

    method: str
    "GET for a WebSocket."
    path: str
    "Without the `root_path` of the settings."
    host: str
    origin: str | None
    token: str | None
    forwarded: bool = False
    "Whether a proxy passed it on."


class AccessRules:
    """Decides on access. Pure."""

    def __init__(self, settings: Settings, token: SecretStr) -> None:
        self._token = token
        self._is_local = is_loopback(settings.host)
        self._public_names = frozenset(map(_name_of, settings.server_names))
        self._names = _LOCAL_NAMES | self._public_names | {settings.host.lower()}
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.allowed_origins)

    def refusal(self, request: RequestInfo) -> Problem | None:
        """Return why a request is refused; None if it is allowed."""
        if self._is_local and _name_of(request.host) not in self._names:
            return Problem(
                421,
                "wrong_host",
                "This service does not have that name.",
                "The Host of the request is not an address of this service.",
                "Call it by http://127.0.0.1, or add the name to server_names.",
            )
        if request.origin is not None and not self._is_allowed_origin(request.origin, request.host):
            return Problem(
                403,
                "foreign_origin",
                "Another site's page may not ask here.",
                "The Origin of the request is neither our own page nor in allowed_origins.",
                "Add it to allowed_origins if you trust it.",
            )
        if self._needs_token(request) and not (request.token and is_token(request.token, self._token)):
            happened = "The token is wrong." if request.token else "This request needs a token."
            remedy = "Send `Authorization: Bearer <token>`; the service keeps it in its state_dir."
            return problem_of(Unauthorised(happened, remedy=remedy))
        return None

    def _is_allowed_origin(self, origin: str, host: str) -> bool:
        place = urlsplit(origin).netloc.lower()
        # A proxy may have replaced the Host that the page was opened by.
        is_own = place == host.lower() or _name_of(place) in self._public_names
        return is_own or origin.lower() in self._origins

    def _needs_token(self, request: RequestInfo) -> bool:
        if not is_api(request.path):
            return False
        is_from_here = self._is_local and not request.forwarded and not self._public_names
        return not (is_from_here and only_reads(request.method, request.path))


def is_api(path: str) -> bool:
    """Return whether a path is of the API, which from elsewhere needs the token, and not of the page."""
    return _is_below(path, _API)


def only_reads(method: str, path: str) -> bool:
    """Return whether a request changes nothing: a client on this machine may send it without the token."""
    return method in _READING or _is_below(path, ["/whep"])


class AccessMiddleware:
    """ASGI middleware: applies the rules, limits the body, adds security headers to every response.

    The application gets paths below `root_path`, whether or not a proxy removed it, as ASGI has it.
    """

    def __init__(self, app: ASGIApp, rules: AccessRules, root_path: str) -> None:
        self._app = app
        self._rules = rules
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a connection."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        if scope["type"] == "http":
            send = _with_security_headers(send)
        path = _below(scope["path"], self._root_path)
        scope = {**scope, "root_path": self._root_path, "path": self._root_path + path}
        problem = self._rules.refusal(_request_info(scope, path))
        if problem is not None:
            return await refuse(problem, scope, receive, send)
        if scope["type"] == "websocket":
            return await self._app(scope, receive, send)
        body = await _read_body(receive)
        if body is None:
            too_large = Problem(
                413,
                "too_large",
                "The request is too large.",
                f"At most {MAX_BODY_BYTES} bytes are taken.",
            )
            return await refuse(too_large, scope, receive, send)
        return await self._app(scope, _replay(body, receive), send)


async def refuse(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with a problem; to a WebSocket that is not accepted yet as a denial response."""
    await problem.response()(scope, receive, send)


def _below(path: str, root_path: str) -> str:
    inner = path.removeprefix(root_path)
    return inner if inner.startswith("/") else path


def _request_info(scope: Scope, path: str) -> RequestInfo:
    headers = Headers(scope=scope)
    kind, _, credentials = headers.get("authorization", "").partition(" ")
    token = credentials.strip() if kind.lower() == "bearer" else None
    if scope["type"] == "websocket":
        token = token or _protocol_token(scope.get("subprotocols", ()))
    method, host, origin = scope.get("method", "GET"), headers.get("host", ""), headers.get("origin")
    return RequestInfo(method, path, host, origin, token, _is_forwarded(scope, headers))


def _is_forwarded(scope: Scope, headers: Headers) -> bool:
    """Return whether a proxy passed the request on: its headers say so, or it speaks HTTP/1.0, as nginx does
    by default and no browser."""
    is_said = any(name in _PROXY_HEADERS or name.startswith("x-forwarded") for name in headers)
    return is_said or scope.get("http_version") == "1.0"


def _protocol_token(protocols: Iterable[str]) -> str | None:
    offered = (name.removeprefix(TOKEN_PROTOCOL) for name in protocols if name.startswith(TOKEN_PROTOCOL))
    return next(offered, None)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body; None if it is too large or the client disconnected."""
    body = bytearray()
    received_bytes = 0
    # Closing while the client still sends resets the connection and loses the response: read on for a while.
    while received_bytes <= _MAX_DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part: bytes = message.get("body", b"")
        received_bytes += len(part)
        if received_bytes <= MAX_BODY_BYTES:
            body.extend(part)
        if not message.get("more_body", False):
            return bytes(body) if received_bytes <= MAX_BODY_BYTES else None
    return None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields the buffered body first."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


def _with_security_headers(send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            # Static files are revalidated each time (they have an ETag); API responses are not stored.
            headers.setdefault("Cache-Control", "no-cache" if "etag" in headers else "no-store")
        await send(message)

    return adding


def _is_below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def _name_of(host: str) -> str:
    """Return the host without port, `[::1]` without brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
