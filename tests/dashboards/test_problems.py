"""Every error has a status, a title and a message."""

from __future__ import annotations

import inspect
import json

import pytest

from dashboards.problems import FAILED, Problem, problem_of
from streaming import errors
from streaming.errors import (
    CheckpointError,
    Conflict,
    InvalidQuery,
    InvalidSettings,
    InvalidStream,
    LimitReached,
    NotFound,
    RefusedAddress,
    SaccadeError,
    ServiceUnavailable,
    SourceUnavailable,
    StoreUnavailable,
    Unauthorised,
)

STATUS = {
    InvalidQuery: 422,
    InvalidStream: 422,
    RefusedAddress: 403,
    NotFound: 404,
    Conflict: 409,
    LimitReached: 429,
    Unauthorised: 401,
    InvalidSettings: 400,
    SourceUnavailable: 502,
    StoreUnavailable: 503,
    ServiceUnavailable: 503,
    CheckpointError: 500,
}
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SaccadeError)]


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_an_error_has_the_status_that_fits(kind: type[SaccadeError]) -> None:
    assert problem_of(kind("It happened.")).status == STATUS[kind]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_saccade_error_becomes_a_problem_with_its_code_and_message(kind: type[SaccadeError]) -> None:
    problem = problem_of(kind("It happened.", remedy="Do that."))
    assert 400 <= problem.status < 600
    assert (problem.code, problem.detail, problem.remedy) == (kind.code, "It happened.", "Do that.")
    assert problem.retryable == kind.retryable


def test_a_problem_has_the_fields_of_rfc_9457() -> None:
    response = problem_of(NotFound("No stream 'gate'.", remedy="See GET /v1/streams.")).response()
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "urn:saccade:problem:not_found",
        "title": "There is no such thing here.",
        "status": 404,
        "detail": "No stream 'gate'.",
        "code": "not_found",
        "remedy": "See GET /v1/streams.",
        "retryable": False,
    }


def test_a_retryable_problem_has_retry_after() -> None:
    assert problem_of(StoreUnavailable("Redis is away.")).response().headers["retry-after"] == "1"
    assert "retry-after" not in problem_of(NotFound("No.")).response().headers


def test_unauthorised_has_www_authenticate() -> None:
    headers = problem_of(Unauthorised("No token.")).response().headers
    assert headers["www-authenticate"] == 'Bearer realm="saccade"'


def test_extension_members_are_added() -> None:
    problem = Problem(503, "x", "X.", "It is so.", extra={"parts": {"redis": "away"}})
    assert json.loads(bytes(problem.response().body))["parts"] == {"redis": "away"}


def test_a_bug_tells_nothing_about_itself() -> None:
    assert FAILED.response().status_code == 500
    assert "log" in FAILED.detail
