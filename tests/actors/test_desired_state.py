"""What each worker is sent when streams and queries change."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace

import pytest

from actors.desired_state import HISTORY, Delta, DesiredState, HostedState
from streaming.errors import NotFound
from streaming.vocabulary import Query, QueryId, StreamId, StreamSpec

A, B = StreamSpec(StreamId("a"), "whip:"), StreamSpec(StreamId("b"), "whip:")


def query(name: str, stream_id: StreamId = A.stream_id, text: str = "the red square") -> Query:
    return Query(QueryId(name), stream_id, text)


def synced(desired: DesiredState, worker: int = 0) -> HostedState:
    """A worker that has applied everything so far."""
    delta = desired.delta(worker, 0)
    return HostedState() if delta is None else HostedState().applied(delta)


def test_a_worker_that_is_up_to_date_is_sent_nothing() -> None:
    desired = DesiredState(1)
    assert desired.delta(0, 0) is None
    desired.put_stream(A)
    assert desired.delta(0, synced(desired).version) is None


def test_a_restarted_worker_gets_the_whole_state() -> None:
    desired = DesiredState(1)
    desired.load([A, B], [query("q"), query("orphan", StreamId("gone"))])
    delta = desired.delta(0, 0)
    assert delta == Delta(0, 3, (A, B), (query("q"),))


@pytest.mark.parametrize("streams", [1, 16])
def test_an_edit_sends_one_query_however_many_streams_are_hosted(streams: int) -> None:
    desired = DesiredState(1)
    for number in range(streams):
        spec = StreamSpec(StreamId(f"s{number:02}"), "whip:")
        desired.put_stream(spec)
        desired.put_query(query(f"q{number:02}", spec.stream_id))
    version = synced(desired).version
    edited = replace(desired.query(QueryId("q00")), text="the blue square", revision=2)
    desired.put_query(edited)
    delta = desired.delta(0, version)
    assert delta == Delta(version, version + 1, queries=(edited,))
    assert len(pickle.dumps(delta)) < 1_000


def test_a_change_is_sent_to_the_worker_that_hosts_the_stream() -> None:
    desired = DesiredState(2)
    desired.put_stream(A)
    desired.put_stream(B)
    versions = [desired.version(worker) for worker in (0, 1)]
    desired.put_query(query("q", B.stream_id))
    assert (desired.worker_of(A.stream_id), desired.worker_of(B.stream_id)) == (0, 1)
    assert [desired.version(worker) for worker in (0, 1)] == [versions[0], versions[1] + 1]


def test_removals_are_sent_as_ids() -> None:
    desired = DesiredState(1)
    desired.load([A, B], [query("qa"), query("qb", B.stream_id)])
    worker = synced(desired)
    desired.remove_query(QueryId("qa"))
    desired.remove_stream(B.stream_id)
    delta = desired.delta(0, worker.version)
    assert delta is not None
    assert (delta.removed_streams, set(delta.removed_queries)) == ((B.stream_id,), {"qa", "qb"})
    assert worker.applied(delta) == synced(desired)


def test_a_stream_removed_and_added_again_has_none_of_its_old_queries() -> None:
    desired = DesiredState(1)
    desired.load([A], [query("old")])
    worker = synced(desired)
    desired.remove_stream(A.stream_id)
    desired.put_stream(A)
    delta = desired.delta(0, worker.version)
    assert delta is not None and worker.applied(delta).queries == {}


def test_a_worker_too_far_behind_or_of_an_unknown_version_gets_the_whole_state() -> None:
    desired = DesiredState(1)
    desired.put_stream(A)
    for revision in range(HISTORY + 1):
        desired.put_query(replace(query("q"), revision=revision))
    for version in (1, desired.version(0) + 5):
        delta = desired.delta(0, version)
        assert delta is not None and delta.from_version == 0
    delta = desired.delta(0, 2)
    assert delta is not None and delta.from_version == 2


def test_a_delta_fits_its_own_version_and_a_snapshot_fits_any() -> None:
    state = HostedState(version=3)
    assert state.fits(Delta(3, 4)) and state.fits(Delta(0, 9))
    assert not state.fits(Delta(2, 4))


def test_replaced_queries_keep_their_order() -> None:
    desired = DesiredState(1)
    desired.load([A], [query("first"), query("second")])
    worker = synced(desired)
    desired.put_query(query("first", text="the blue square"))
    delta = desired.delta(0, worker.version)
    assert delta is not None
    queries = worker.applied(delta).queries_of(A.stream_id)
    assert [(found.query_id, found.text) for found in queries] == [
        ("first", "the blue square"),
        ("second", "the red square"),
    ]


def test_unknown_ids_are_not_found() -> None:
    desired = DesiredState(1)
    with pytest.raises(NotFound, match="saccade stream list"):
        desired.stream(StreamId("none"))
    with pytest.raises(NotFound, match="saccade query list"):
        desired.query(QueryId("none"))


@pytest.mark.parametrize("seed", range(20))
def test_workers_that_apply_deltas_at_any_time_host_what_is_desired(seed: int) -> None:
    """Random changes; workers apply deltas now and then, and one of them restarts at times."""
    rng, desired = random.Random(seed), DesiredState(2)
    workers = [HostedState(), HostedState()]
    for number in range(400):
        streams, queries = list(desired.streams), list(desired.queries)
        match rng.randrange(6):
            case 0 if len(streams) < 6:
                desired.put_stream(StreamSpec(StreamId(f"s{rng.randrange(8)}"), "whip:"))
            case 1 if streams:
                desired.remove_stream(rng.choice(streams))
            case 2 | 3 if streams:
                desired.put_query(query(f"q{number}", rng.choice(streams)))
            case 4 if queries:
                edited = desired.query(rng.choice(queries))
                desired.put_query(replace(edited, text=f"text {number}", revision=edited.revision + 1))
            case 5 if queries:
                desired.remove_query(rng.choice(queries))
        worker = rng.randrange(2)
        if rng.random() < 0.02:
            workers[worker] = HostedState()
        if rng.random() < 0.3:
            delta = desired.delta(worker, workers[worker].version)
            workers[worker] = workers[worker].applied(delta) if delta else workers[worker]
    for worker, state in enumerate(workers):
        delta = desired.delta(worker, state.version)
        final = state.applied(delta) if delta else state
        assert (final.version, dict(final.streams), dict(final.queries)) == (
            desired.version(worker),
            dict(synced(desired, worker).streams),
            dict(synced(desired, worker).queries),
        )
