"""The request and response models of the REST API, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from streaming.status import QueryState, QueryStatus, StreamStatus
from streaming.vocabulary import QueryKind, Region, SourceState


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class _Response(BaseModel):
    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class NewStream(_Request):
    """A stream to follow from now on."""

    # The pattern is for documentation; the supervisor checks it (streaming/validation.py), with a better
    # message.
    stream_id: str = Field(
        examples=["gate"], json_schema_extra={"pattern": "^[A-Za-z0-9._-]{1,64}$", "maxLength": 64}
    )
    """Chosen by you; names the stream in every result."""
    url: str = Field(examples=["rtsp://camera.example/stream1", "whip:"])
    """rtsp(s)://…, a file (below media_dirs), camera:N, or `whip:` if a browser publishes it."""


class NewQuery(_Request):
    """Words about a stream."""

    text: str = Field(examples=["the person in the red jacket"])
    """What to follow, or what to tell."""
    kind: QueryKind = QueryKind.REFER
    """`refer` wants masks, `ask` an answer in words, `describe` a description."""
    region: Region | None = Field(default=None, examples=[[0.4, 0.2, 0.6, 0.7]])
    """What an `ask` is about: x0, y0, x1, y1 as shares of the picture, 0 to 1; for a point, twice the same.
    Models that were not taught regions say so in their answer."""


class QueryEdit(_Request):
    """New words for a query that runs."""

    text: str = Field(examples=["the blue van"])
    """Takes the place of the old text; the id stays, the revision grows."""


class QueryView(_Response):
    """A query and what came of it."""

    query_id: str
    stream_id: str
    text: str
    kind: QueryKind
    region: Region | None
    """What an `ask` is about, as shares of the picture."""
    revision: int
    """From 1; every edit adds one."""
    accepted_s: float
    """When this revision was accepted, Unix time."""
    state: QueryState
    answer: str | None
    """Text of the last answer to this revision."""
    presence: float | None
    """0..1: how sure the model is that there is such an object."""
    prompt_to_mask_s: float | None
    """Seconds from acceptance to the first mask on a published frame."""

    @classmethod
    def of(cls, status: QueryStatus) -> QueryView:
        """The query and its status in one object."""
        query = status.query
        return cls(
            query_id=query.query_id,
            stream_id=query.stream_id,
            text=query.text,
            kind=query.kind,
            region=query.region,
            revision=query.revision,
            accepted_s=query.accepted_s,
            state=status.state,
            answer=status.answer,
            presence=status.presence,
            prompt_to_mask_s=status.prompt_to_mask_s,
        )


class StreamView(_Response):
    """A stream as it is now; rates and ages are over the last seconds."""

    stream_id: str
    url: str
    """Without credentials."""
    state: SourceState
    reason: str
    """Why, where the state is not `live`."""
    width: int | None
    height: int | None
    tracked_fps: float
    frame_age_p50_s: float | None
    """From capture to publication."""
    frame_age_p95_s: float | None
    frames: int
    """Tracked since the stream was added."""
    dropped: int
    """Dropped since the stream was added, because a newer one was there."""
    reconnects: int
    reader: str
    """What reads the source: `native` or `ffmpeg`; empty before it is opened, and for WHIP."""
    queries: list[QueryView]
    epoch: int
    """Changes when frame indices and track ids began anew, since they could not be continued."""
    tracks_lost: str
    """Why its tracks ended when it was hosted last; empty if they went on."""

    @classmethod
    def of(cls, status: StreamStatus) -> StreamView:
        """The status with its queries as views."""
        queries = [QueryView.of(query) for query in status.queries]
        fields = {name: getattr(status, name) for name in cls.model_fields if name != "queries"}
        return cls(**fields, queries=queries)


class ServiceView(_Response):
    """The service as a whole."""

    version: str
    ready: bool
    parts: dict[str, str]
    """Each part: "ok", or why not."""
    streams: int
    viewers: int
    """Open feeds."""
    examples: list[str]
    """Words that are worth a try here."""


class ProblemView(_Response):
    """Problem details (RFC 9457), as `application/problem+json`."""

    type: str = Field(examples=["urn:saccade:problem:not_found"])
    title: str
    status: int
    detail: str
    """What happened."""
    code: str = Field(examples=["not_found"])
    """Stable and machine-readable."""
    remedy: str
    """What to do about it."""
    retryable: bool


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ProblemView, "description": "Refused."},
    "5XX": {"model": ProblemView, "description": "Failed; with Retry-After where waiting helps."},
}
