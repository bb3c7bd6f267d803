"""How things stand crosses from the workers to the gateway unharmed."""

from __future__ import annotations

import pickle

from streaming.status import QueryState, QueryStatus, StreamStatus, WebRtcSession
from streaming.vocabulary import Query, QueryId, SourceState, StreamId

ASKED = QueryStatus(Query(QueryId("q1"), StreamId("gate"), "the car"))


def test_a_status_survives_the_way_between_processes() -> None:
    status = StreamStatus(
        StreamId("gate"), "rtsp://x/", SourceState.RECONNECTING, "refused", queries=(ASKED,)
    )
    assert pickle.loads(pickle.dumps(status)) == status
    assert pickle.loads(pickle.dumps(WebRtcSession("s1", "v=0"))) == WebRtcSession("s1", "v=0")


def test_what_was_not_measured_is_none_and_not_zero() -> None:
    status = StreamStatus(StreamId("gate"), "rtsp://x/", SourceState.STARTING)
    assert (status.width, status.frame_age_p50_s, status.frame_age_p95_s) == (None, None, None)
    assert (ASKED.state, ASKED.presence, ASKED.prompt_to_mask_s) == (QueryState.PENDING, None, None)
