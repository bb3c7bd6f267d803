"""HTTP client of a running service's REST API; raises the errors of `streaming.errors`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from streaming import errors
from streaming.errors import InvalidSettings, SaccadeError, ServiceUnavailable
from streaming.url_guard import is_loopback

_BY_CODE: dict[str, type[SaccadeError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SaccadeError)
}


class ServiceClient:
    """Client of one service. Raises the error that it reports; ServiceUnavailable without a reply."""

    def __init__(self, server: str, token: str | None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._server, env = server, uses_proxy(server)
        try:
            self._http = httpx.Client(base_url=server, headers=headers, timeout=10.0, trust_env=env)
        except (ImportError, ValueError) as exc:
            raise unusable_proxy(exc) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def get(self, path: str) -> Any:
        """GET; returns the JSON of the response."""
        return self._call("GET", path)

    def post(self, path: str, body: Mapping[str, object]) -> Any:
        """POST; returns the JSON of the created resource."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: Mapping[str, object]) -> Any:
        """PATCH; returns the JSON of the changed resource."""
        return self._call("PATCH", path, body)

    def delete(self, path: str) -> None:
        """DELETE."""
        self._call("DELETE", path)

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        try:
            response = self._http.request(method, path, json=body)
        except httpx.HTTPError as exc:
            raise ServiceUnavailable(
                f"No service answers at {self._server}.",
                remedy="Start one with `saccade up`, or name it with --server.",
            ) from exc
        if response.is_error:
            raise error_of(response)
        return response.json() if response.content else None


def uses_proxy(server: str) -> bool:
    """Return whether HTTP_PROXY and its like apply to a service: not on this machine."""
    return not is_loopback(urlsplit(server).hostname or "")


def unusable_proxy(exc: Exception) -> InvalidSettings:
    """Return the error for a proxy of the environment that the HTTP libraries refuse: SOCKS, bad URLs."""
    return InvalidSettings(
        f"The proxy in HTTP_PROXY or ALL_PROXY cannot be used: {exc}.",
        remedy="Unset it, or name the service's host in NO_PROXY.",
    )


def error_of(response: httpx.Response) -> SaccadeError:
    """Convert problem+json (RFC 9457) to the error of its code; SaccadeError for an unknown code."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    code = str(problem.get("code", ""))
    message = str(problem.get("detail") or problem.get("title") or f"HTTP {response.status_code}.")
    return _BY_CODE.get(code, SaccadeError)(message, remedy=str(problem.get("remedy", "")))
