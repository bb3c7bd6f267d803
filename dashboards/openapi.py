"""What FastAPI does not know of the API: which requests need a token, and all methods of a path."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Match

from dashboards.guard import is_api, only_reads

_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def describe_access(app: FastAPI) -> None:
    """Have the application's OpenAPI say which operations need the token, and which only from elsewhere."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        schema = describe()
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                operation["security"] = _security(method.upper(), path)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]


def _security(method: str, path: str) -> list[dict[str, list[str]]]:
    """Return OpenAPI's alternatives; an empty one permits a request without a token."""
    if not is_api(path):
        return []
    bearer: dict[str, list[str]] = {"HTTPBearer": []}
    return [bearer, {}] if only_reads(method, path) else [bearer]


def allowed_methods(request: Request) -> str:
    """Return `Allow` for the path of a request: the methods of all its routes (RFC 9110 §10.2.1).

    Starlette's own has those of the first route alone.
    """

    def is_served(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)

    return ", ".join(filter(is_served, _METHODS))
