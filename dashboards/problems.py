"""Errors as problem details over HTTP: problem+json (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from streaming.errors import (
    Conflict,
    InvalidQuery,
    InvalidStream,
    LimitReached,
    NotFound,
    RefusedAddress,
    SaccadeError,
    ServiceUnavailable,
    SourceError,
    StoreUnavailable,
    Unauthorised,
    UsageError,
)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1

_KINDS: Final[dict[type[SaccadeError], tuple[int, str]]] = {
    InvalidQuery: (422, "This query cannot be asked."),
    InvalidStream: (422, "This stream cannot be used."),
    RefusedAddress: (403, "This address may not be reached."),
    NotFound: (404, "There is no such thing here."),
    Conflict: (409, "It is there already."),
    LimitReached: (429, "A limit is reached."),
    Unauthorised: (401, "A token is needed."),
    UsageError: (400, "This request cannot be served."),
    SourceError: (502, "The source does not work."),
    StoreUnavailable: (503, "Redis is away."),
    ServiceUnavailable: (503, "A part of the service is not up."),
    SaccadeError: (500, "The service failed."),
}
"By class; the nearest base class of an error decides."


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem details object."""

    status: int
    code: str
    "Stable and machine-readable, `SaccadeError.code` where there is one."
    title: str
    "The kind of problem in words."
    detail: str
    "What happened this time."
    remedy: str = ""
    "What to do about it."
    retryable: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return the HTTP response, with Retry-After if the problem is retryable."""
        body = {
            "type": f"urn:saccade:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "remedy": self.remedy,
            "retryable": self.retryable,
            **self.extra,
        }
        headers = dict(self.headers)
        if self.retryable:
            headers["Retry-After"] = str(RETRY_AFTER_S)
        return Response(json.dumps(body), self.status, headers, MEDIA_TYPE)


def problem_of(error: SaccadeError) -> Problem:
    """Return the problem of a SaccadeError."""
    status, title = next(_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS)
    headers = {"WWW-Authenticate": 'Bearer realm="saccade"'} if status == 401 else {}
    return Problem(status, error.code, title, error.message, error.remedy, error.retryable, headers=headers)


def problem_of_http(error: HTTPException) -> Problem:
    """Return the problem of a routing error: unknown route, wrong method."""
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_")
    return Problem(error.status_code, code, f"{phrase}.", str(error.detail), headers=error.headers or {})


def problem_of_validation(error: RequestValidationError) -> Problem:
    """Return the problem of a request that does not match its schema; it does not quote the request."""
    faults = [
        {"at": ".".join(str(part) for part in fault["loc"]), "fault": str(fault["msg"])}
        for fault in error.errors()
    ]
    first = faults[0] if faults else {"at": "request", "fault": "wrong"}
    return Problem(
        status=422,
        code="invalid_request",
        title="The request does not have the described shape.",
        detail=f"{first['at']}: {first['fault']}.",
        remedy="See /openapi.json.",
        extra={"errors": faults[:20]},
    )


FAILED: Final = Problem(
    500, "error", "The service failed.", "This is a bug; the details are in the service's log."
)
