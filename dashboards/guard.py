"""The door: who may ask, from where, and how much they may send. Before any route is looked at.

- Host: on loopback only our own names are answered, else a web site could point its name at 127.0.0.1 and
  read us (DNS rebinding).
- Origin: what a browser sends for another site's page is refused unless `allowed_origins` has that site.
- Token: for whatever changes the service; on anything but loopback also for reading. Open to all: `/live`,
  `/ready` and the page's own files, which hold no secrets. A WHEP session only watches: it counts as reading.
- Size: a body above MAX_BODY_BYTES is refused before it is kept.
"""

from __future__ import annotations

import ipaddress
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

MAX_BODY_BYTES: Final = 64 << 10
"An SDP offer of a browser has about 8 KiB, a query of 10,000 characters at most 60 KiB."

_LISTENED_BYTES: Final = 1 << 20

TOKEN_PROTOCOL: Final = "bearer."  # noqa: S105 - a prefix
"A WebSocket of a browser offers the subprotocols `saccade` and `bearer.<token>`: it cannot set headers."

_API: Final = ("/v1", "/whip", "/whep", "/metrics", "/openapi.json")
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOCAL_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})
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
    """What the door looks at in a request."""

    method: str
    "GET for a WebSocket."
    path: str
    host: str
    origin: str | None
    token: str | None


class AccessRules:
    """Who may ask what. Pure: `refusal` looks at nothing but its argument."""

    def __init__(self, settings: Settings, token: SecretStr) -> None:
        self._token = token
        self._is_local = _is_loopback(settings.host)
        self._names = _LOCAL_NAMES | {settings.host.lower()}
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.allowed_origins)

    def refusal(self, asked: RequestInfo) -> Problem | None:
        """Why this is not served; None: it is."""
        if self._is_local and _name_of(asked.host) not in self._names:
            return Problem(
                421,
                "wrong_host",
                "This service does not have that name.",
                "The Host of the request is not an address of this service.",
                "Call it by http://127.0.0.1.",
            )
        if asked.origin is not None and not self._is_welcome(asked.origin, asked.host):
            return Problem(
                403,
                "foreign_origin",
                "Another site's page may not ask here.",
                "The Origin of the request is neither our own page nor in allowed_origins.",
                "Add it to allowed_origins if you trust it.",
            )
        if self._needs_token(asked) and not (asked.token and is_token(asked.token, self._token)):
            happened = "The token is wrong." if asked.token else "This request needs a token."
            remedy = "Send `Authorization: Bearer <token>`; the service keeps it in its state_dir."
            return problem_of(Unauthorised(happened, remedy=remedy))
        return None

    def _is_welcome(self, origin: str, host: str) -> bool:
        return urlsplit(origin).netloc.lower() == host.lower() or origin.lower() in self._origins

    def _needs_token(self, asked: RequestInfo) -> bool:
        if not _is_below(asked.path, _API):
            return False
        only_watches = asked.method in _READING or _is_below(asked.path, ["/whep"])
        return not (self._is_local and only_watches)


class AccessMiddleware:
    """ASGI middleware: asks the rules, limits the body, adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, rules: AccessRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        if scope["type"] == "http":
            send = _with_security_headers(send)
        problem = self._rules.refusal(_asked(scope))
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
    """Answer with a problem; a WebSocket not yet accepted gets it as an HTTP answer (denial response)."""
    await problem.response()(scope, receive, send)


def _asked(scope: Scope) -> RequestInfo:
    headers = Headers(scope=scope)
    kind, _, credentials = headers.get("authorization", "").partition(" ")
    token = credentials.strip() if kind.lower() == "bearer" else None
    if scope["type"] == "websocket":
        token = token or _protocol_token(scope.get("subprotocols", ()))
    return RequestInfo(
        scope.get("method", "GET"), scope["path"], headers.get("host", ""), headers.get("origin"), token
    )


def _protocol_token(protocols: Iterable[str]) -> str | None:
    offered = (name.removeprefix(TOKEN_PROTOCOL) for name in protocols if name.startswith(TOKEN_PROTOCOL))
    return next(offered, None)


async def _read_body(receive: Receive) -> bytes | None:
    """The whole body; None if it is too large, or if its sender went away (then nobody hears the refusal)."""
    body = bytearray()
    received_bytes = 0
    # Closing on someone who still sends resets the connection, and the refusal is lost: listen on a while.
    while received_bytes <= _LISTENED_BYTES:
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
    """The body once, then what really comes."""
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
            # The page's files may be kept but are asked for again each time; what the API says is not kept.
            headers.setdefault("Cache-Control", "no-cache" if "etag" in headers else "no-store")
        await send(message)

    return adding


def _is_below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name_of(host: str) -> str:
    """The host without its port, `[::1]` without its brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
