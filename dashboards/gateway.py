"""The service over HTTP: REST under `/v1`, WHIP and WHEP signalling, the live feed, health, the page.

    /v1/streams …/{id} …/{id}/queries …/{id}/results    GET POST DELETE     resources.py has the shapes
    /v1/streams/{id}/feed                               WebSocket           results and notes as they come
    /v1/queries/{id}                                    GET PATCH DELETE
    /v1/status  /live  /ready  /metrics                 GET
    /whip/{id}  /whep/{id}  …/{session}                 POST DELETE         webrtc_routes.py
    /                                                   GET                 static/

The gateway only translates: requests become calls of `Control`, which validates what users write; published
messages come from Redis.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, cast

from fastapi import APIRouter, Depends, FastAPI, Query, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from pydantic import SecretStr
from starlette.exceptions import HTTPException

from dashboards.control import Control
from dashboards.feed import FeedHub, serve_viewer
from dashboards.guard import AccessMiddleware, AccessRules
from dashboards.openapi import allowed_methods, describe_access
from dashboards.problems import FAILED, Problem, problem_of, problem_of_http, problem_of_validation
from dashboards.resources import PROBLEMS, NewQuery, NewStream, QueryEdit, QueryView, ServiceView, StreamView
from dashboards.webrtc_routes import webrtc_router
from streaming.errors import NotFound, SaccadeError, ServiceUnavailable
from streaming.results.keys import Channel
from streaming.results.reader import ResultReader
from streaming.settings import Settings
from streaming.vocabulary import QueryId, StreamId, StreamSpec

_STATIC: Final = Path(__file__).parent / "static"
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_bearer = HTTPBearer(auto_error=False, description="Made at the first start and kept in state_dir/token.")


def create_app(control: Control, results: ResultReader, settings: Settings, token: SecretStr) -> FastAPI:
    """Make the gateway, an ASGI application. The caller closes `results`, after the application's
    shutdown."""
    hub = FeedHub(results)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await hub.close()

    app = FastAPI(
        title="Saccade",
        summary="Say what to follow: words in, pixel masks out, on live video.",
        version=version("saccade"),
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # FastAPI's documentation pages load scripts from a CDN; our Content-Security-Policy forbids that.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.control, app.state.results, app.state.hub = control, results, hub
    app.state.examples = settings.examples
    _add_problem_handlers(app)
    for router in (streams, queries, service, feeds, webrtc_router("whip"), webrtc_router("whep")):
        app.include_router(router)
    # Not mounted: a mount at / would also match our routes with a wrong method and answer 404 instead of 405.
    app.router.default = StaticFiles(directory=_STATIC, html=True)
    app.add_middleware(AccessMiddleware, rules=AccessRules(settings, token), root_path=settings.root_path)
    describe_access(app)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
            expose_headers=["Location", "Retry-After"],
        )
    return app


def _control(request: Request) -> Control:
    return cast(Control, request.app.state.control)


ControlDep = Annotated[Control, Depends(_control)]
streams = APIRouter(
    prefix="/v1/streams", tags=["streams"], dependencies=[Depends(_bearer)], responses=PROBLEMS
)
queries = APIRouter(
    prefix="/v1/queries", tags=["queries"], dependencies=[Depends(_bearer)], responses=PROBLEMS
)
service = APIRouter(tags=["service"], responses=PROBLEMS)
feeds = APIRouter()


@streams.get("", summary="List streams")
async def list_streams(control: ControlDep) -> list[StreamView]:
    """Every stream, with its queries."""
    return [StreamView.of(status) for status in await control.list_streams()]


@streams.post("", status_code=201, summary="Add a stream")
async def add_stream(
    body: NewStream, control: ControlDep, request: Request, response: Response
) -> StreamView:
    """Follow a stream from now on; it is added before it is live, see its `state`."""
    status = await control.add_stream(StreamSpec(StreamId(body.stream_id), body.url))
    response.headers["Location"] = f"{request.scope['root_path']}/v1/streams/{status.stream_id}"
    return StreamView.of(status)


@streams.get("/{stream_id}", summary="One stream")
async def get_stream(stream_id: str, control: ControlDep) -> StreamView:
    """How a stream is now."""
    return StreamView.of(await control.get_stream(StreamId(stream_id)))


@streams.delete("/{stream_id}", status_code=204, summary="Remove a stream")
async def remove_stream(stream_id: str, control: ControlDep) -> None:
    """End a stream and its queries. Its results stay in Redis for an hour."""
    await control.remove_stream(StreamId(stream_id))


@streams.get("/{stream_id}/queries", tags=["queries"], summary="List a stream's queries")
async def list_queries(stream_id: str, control: ControlDep) -> list[QueryView]:
    """What is asked about a stream, and what came of it."""
    return [QueryView.of(status) for status in await control.list_queries(StreamId(stream_id))]


@streams.post("/{stream_id}/queries", status_code=201, tags=["queries"], summary="Ask")
async def add_query(
    stream_id: str, body: NewQuery, control: ControlDep, request: Request, response: Response
) -> QueryView:
    """Say what to follow from now on."""
    status = await control.add_query(StreamId(stream_id), body.text, body.kind, body.region)
    response.headers["Location"] = f"{request.scope['root_path']}/v1/queries/{status.query.query_id}"
    return QueryView.of(status)


@streams.get(
    "/{stream_id}/results",
    summary="Latest results",
    response_class=JSONResponse,
    response_model=list[dict[str, object]],
)
async def latest_results(
    stream_id: str,
    control: ControlDep,
    request: Request,
    channel: Annotated[Channel, Query(description="Which messages.")] = Channel.FRAMES,
    count: Annotated[int, Query(ge=1, le=1_000, description="At most so many.")] = 1,
) -> Response:
    """The newest messages as Redis keeps them (`saccade.frame/1` and its like), oldest first."""
    existing_id = (await control.get_stream(StreamId(stream_id))).stream_id
    stored = await request.app.state.results.latest(existing_id, channel, count)
    # The stored messages are JSON already.
    return Response(b"[" + b",".join(each.data for each in stored) + b"]", media_type="application/json")


@feeds.websocket("/v1/streams/{stream_id}/feed")
async def feed(websocket: WebSocket, stream_id: str) -> None:
    """Results and notes as they come, one JSON message each; what you send is ignored."""
    control = cast(Control, websocket.app.state.control)
    hub = cast(FeedHub, websocket.app.state.hub)
    try:
        existing_id = (await control.get_stream(StreamId(stream_id))).stream_id
        async with hub.watch(existing_id) as viewer:
            await serve_viewer(websocket, viewer, lambda: control.get_stream(existing_id))
    except SaccadeError as exc:
        await websocket.send_denial_response(problem_of(exc).response())


@feeds.websocket("/{path:path}")
async def no_feed(websocket: WebSocket) -> None:
    """Refuse a WebSocket at any other path; the static files would fail on it."""
    not_found = NotFound("There is no feed here.", remedy="Connect to /v1/streams/{id}/feed.")
    await websocket.send_denial_response(problem_of(not_found).response())


@queries.get("/{query_id}", summary="One query")
async def get_query(query_id: str, control: ControlDep) -> QueryView:
    """A query and what came of it."""
    return QueryView.of(await control.get_query(QueryId(query_id)))


@queries.patch("/{query_id}", summary="Edit a query while it runs")
async def edit_query(query_id: str, body: QueryEdit, control: ControlDep) -> QueryView:
    """New words under the same id; results go on without a gap."""
    return QueryView.of(await control.edit_query(QueryId(query_id), body.text))


@queries.delete("/{query_id}", status_code=204, summary="Remove a query")
async def remove_query(query_id: str, control: ControlDep) -> None:
    """End a query and its tracks."""
    await control.remove_query(QueryId(query_id))


@service.get("/v1/status", dependencies=[Depends(_bearer)], summary="The service")
async def status(control: ControlDep, request: Request) -> ServiceView:
    """Version, parts, sizes."""
    parts = await control.readiness()
    return ServiceView(
        version=version("saccade"),
        ready=_is_ready(parts),
        parts=parts,
        streams=len(await control.list_streams()),
        viewers=request.app.state.hub.viewer_count,
        examples=request.app.state.examples,
    )


@service.get("/live", summary="Is the process alive?")
async def live() -> dict[str, bool]:
    """Answers as long as the gateway runs."""
    return {"live": True}


@service.get("/ready", response_model=None, summary="Can it work?")
async def ready(control: ControlDep) -> Response:
    """200 when every part is up, else 503 with the reasons."""
    parts = await control.readiness()
    if _is_ready(parts):
        return JSONResponse({"ready": True, "parts": parts})
    reasons = "; ".join(f"{part}: {why}" for part, why in parts.items() if why != "ok")
    base = problem_of(ServiceUnavailable(reasons))
    return Problem(
        base.status, base.code, base.title, reasons, retryable=True, extra={"parts": parts}
    ).response()


@service.get("/metrics", response_model=None, summary="Prometheus metrics")
async def metrics(control: ControlDep) -> Response:
    """Text exposition format 0.0.4."""
    return Response(await control.metrics(), headers={"Content-Type": _METRICS_TYPE})


def _is_ready(parts: dict[str, str]) -> bool:
    return all(why == "ok" for why in parts.values())


def _add_problem_handlers(app: FastAPI) -> None:
    @app.exception_handler(SaccadeError)
    async def saccade_error(_: Request, error: SaccadeError) -> Response:
        return problem_of(error).response()

    @app.exception_handler(HTTPException)
    async def http_exception(request: Request, error: HTTPException) -> Response:
        if error.status_code == 405 and (methods := allowed_methods(request)):
            error.headers = {**(error.headers or {}), "Allow": methods}
        return problem_of_http(error).response()

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_: Request, error: RequestValidationError) -> Response:
        return problem_of_validation(error).response()

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> Response:
        # Starlette re-raises the exception after this response, so uvicorn logs its traceback.
        return FAILED.response()
