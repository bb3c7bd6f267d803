"""HTTP signalling of WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): POST an offer, DELETE a session.

Trickle ICE and ICE restarts are not supported: the offer must contain its candidates, and PATCH is answered
with 405, as RFC 9725 §4.1 requires.
"""

from __future__ import annotations

from typing import Final, Literal, cast

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from fastapi.security import HTTPBearer

from dashboards.control import Control
from dashboards.problems import Problem
from dashboards.resources import PROBLEMS
from streaming.status import WebRtcSession
from streaming.vocabulary import StreamId

SDP_TYPE: Final = "application/sdp"
_SUMMARIES: Final = {"whip": "Publish a browser's video", "whep": "Watch a stream"}
_bearer = HTTPBearer(auto_error=False)


def webrtc_router(protocol: Literal["whip", "whep"]) -> APIRouter:
    """Make the routes of a protocol; the two differ in the methods of `Control` that they call."""
    router = APIRouter(
        prefix=f"/{protocol}", tags=[protocol], dependencies=[Depends(_bearer)], responses=PROBLEMS
    )

    @router.post(
        "/{stream_id}",
        status_code=201,
        summary=_SUMMARIES[protocol],
        response_class=Response,
        responses={201: {"description": "The answer; Location is the session.", "content": {SDP_TYPE: {}}}},
        openapi_extra={
            "requestBody": {"required": True, "content": {SDP_TYPE: {"schema": {"type": "string"}}}}
        },
    )
    async def offer(stream_id: str, request: Request) -> Response:
        """Send an SDP offer that holds its ICE candidates."""
        sdp = await _offer_of(request)
        if isinstance(sdp, Problem):
            return sdp.response()
        session = await _open(request, stream_id, sdp)
        root_path = request.scope["root_path"]
        headers = {"Location": f"{root_path}/{protocol}/{stream_id}/{session.session_id}"}
        return Response(session.answer_sdp, 201, headers, SDP_TYPE)

    async def _open(request: Request, stream_id: str, sdp: str) -> WebRtcSession:
        control = cast(Control, request.app.state.control)
        operation = control.whip_offer if protocol == "whip" else control.whep_offer
        return await operation(StreamId(stream_id), sdp)

    @router.delete("/{stream_id}/{session_id}", summary="End a session", response_class=Response)
    async def end(stream_id: str, session_id: str, request: Request) -> Response:
        """The peer leaves."""
        control = cast(Control, request.app.state.control)
        operation = control.whip_end if protocol == "whip" else control.whep_end
        await operation(StreamId(stream_id), session_id)
        return Response(status_code=200)

    @router.options("/{_stream_id}", include_in_schema=False)
    async def options() -> Response:
        """What may be posted."""
        return Response(status_code=204, headers={"Allow": "OPTIONS, POST", "Accept-Post": SDP_TYPE})

    return router


async def _offer_of(request: Request) -> str | Problem:
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != SDP_TYPE:
        return Problem(
            415,
            "unsupported_media_type",
            "An SDP offer is wanted.",
            f"The request has Content-Type {sent[:64]!r}.",
            f"Send Content-Type: {SDP_TYPE}.",
            headers={"Accept-Post": SDP_TYPE},
        )
    try:
        sdp = (await request.body()).decode()
    except UnicodeDecodeError:
        sdp = ""
    if not sdp.startswith("v=0"):
        return Problem(
            400,
            "invalid_sdp",
            "This is not an SDP offer.",
            "The body does not start with v=0.",
            "See RFC 8866.",
        )
    return sdp
