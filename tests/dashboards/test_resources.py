"""The API's models hold the service's states, and are described."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from dashboards import resources
from dashboards.resources import NewQuery, NewStream, QueryView, StreamView
from streaming.status import QueryState, QueryStatus, StreamStatus
from streaming.vocabulary import Query, QueryId, QueryKind, SourceState, StreamId

STATUS = QueryStatus(
    Query(QueryId("q1"), StreamId("gate"), "the car", QueryKind.REFER, 3, 7.5),
    QueryState.FOLLOWING,
    "Sure, [SEG].",
    0.9,
    0.21,
)
SHAPES = [
    value
    for name, value in vars(resources).items()
    if isinstance(value, type) and issubclass(value, BaseModel) and not name.startswith("_")
]


def test_a_query_and_its_status_are_one_object() -> None:
    assert QueryView.of(STATUS).model_dump(mode="json") == {
        "query_id": "q1",
        "stream_id": "gate",
        "text": "the car",
        "kind": "refer",
        "region": None,
        "revision": 3,
        "accepted_s": 7.5,
        "state": "following",
        "answer": "Sure, [SEG].",
        "presence": 0.9,
        "prompt_to_mask_s": 0.21,
    }


def test_a_stream_view_contains_its_queries() -> None:
    status = StreamStatus(
        StreamId("gate"), "rtsp://x/", SourceState.LIVE, width=640, height=360, queries=(STATUS,)
    )
    told = StreamView.of(status).model_dump(mode="json")
    assert told["queries"] == [QueryView.of(STATUS).model_dump(mode="json")]
    assert (told["state"], told["width"], told["frame_age_p95_s"]) == ("live", 640, None)
    assert set(told) == set(StreamStatus.__slots__)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_model_field_is_described(shape: type[BaseModel]) -> None:
    assert shape.__doc__


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError):
        NewStream.model_validate({"stream_id": "a", "url": "b", "token": "c"})
    with pytest.raises(ValidationError):
        NewQuery.model_validate({"text": "a", "kind": "paint"})
