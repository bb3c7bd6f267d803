"""Decisions about streams and queries, against a real Redis; processes: test_keeper and test_pipeline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from pydantic import SecretStr

from actors.grounder import GrounderActor
from actors.ray_runtime import PartDied, call
from actors.redis_server import RedisServer
from actors.supervisor import Supervisor
from streaming.errors import (
    Conflict,
    GroundingTimedOut,
    InvalidQuery,
    InvalidStream,
    LimitReached,
    NotFound,
    RefusedAddress,
    ServiceUnavailable,
    StoreUnavailable,
)
from streaming.results.desired_store import DesiredStore
from streaming.settings import Settings
from streaming.status import QueryState
from streaming.vocabulary import (
    Answer,
    Keyframe,
    Query,
    QueryId,
    QueryKind,
    SourceState,
    StreamId,
    StreamSpec,
)
from tests.doubles import ColourGrounder, frame_of, square_picture

WHIP = StreamSpec(StreamId("phone"), "whip:")
NOWHERE = SecretStr("redis://127.0.0.1:1/0")


class Unheard:
    """A keeper whose worker is not there."""

    problem = "It is starting."

    async def push(self, timeout_s: float) -> None: ...

    def status(self, stream_id: StreamId) -> None: ...


@pytest.fixture
def store(own_redis: RedisServer) -> Iterator[DesiredStore]:
    opened = DesiredStore(own_redis.url)
    yield opened
    opened.close()


@pytest.fixture
def supervisor(own_redis: RedisServer, tmp_path: Path) -> Supervisor:
    """Not started: it decides and remembers, and has nobody to tell."""
    return Supervisor(settings(tmp_path), own_redis.url, None)


def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, max_streams=2, max_queries_per_stream=2)


async def test_what_was_asked_for_is_in_redis_before_it_is_promised(
    supervisor: Supervisor, store: DesiredStore
) -> None:
    await supervisor.add_stream(WHIP)
    added = await supervisor.add_query(WHIP.stream_id, "  the red circle ", QueryKind.REFER)
    assert store.streams() == [WHIP]
    assert store.queries() == [added.query]
    assert added.query.text == "the red circle"


async def test_what_was_pointed_at_is_kept_with_the_question(
    supervisor: Supervisor, store: DesiredStore
) -> None:
    await supervisor.add_stream(WHIP)
    region = (0.25, 0.5, 0.75, 0.5)
    await supervisor.add_query(WHIP.stream_id, "what is this?", QueryKind.ASK, region)
    assert [query.region for query in store.queries()] == [region]
    with pytest.raises(InvalidQuery, match="kind ask"):
        await supervisor.add_query(WHIP.stream_id, "the red circle", QueryKind.REFER, region)


async def test_a_stream_nobody_hosts_yet_is_starting_and_its_queries_wait(supervisor: Supervisor) -> None:
    await supervisor.add_stream(WHIP)
    await supervisor.add_query(WHIP.stream_id, "the red circle", QueryKind.REFER)
    (status,) = await supervisor.list_streams()
    assert (status.state, [query.state for query in status.queries]) == (
        SourceState.STARTING,
        [QueryState.PENDING],
    )


async def test_an_edit_keeps_the_id_and_raises_the_revision(supervisor: Supervisor) -> None:
    await supervisor.add_stream(WHIP)
    added = await supervisor.add_query(WHIP.stream_id, "the red circle", QueryKind.REFER)
    edited = await supervisor.edit_query(added.query.query_id, "the blue square")
    assert (edited.query.query_id, edited.query.revision) == (added.query.query_id, 2)
    assert edited.query.accepted_s >= added.query.accepted_s


async def test_the_same_words_again_are_no_edit(supervisor: Supervisor) -> None:
    await supervisor.add_stream(WHIP)
    added = await supervisor.add_query(WHIP.stream_id, "the red circle", QueryKind.REFER)
    same = await supervisor.edit_query(added.query.query_id, " the red circle")
    assert same.query == added.query


@pytest.mark.parametrize(
    ("stream_id", "url", "error"),
    [
        ("no spaces", "whip:", InvalidStream),
        ("a", "http://example.com/x", RefusedAddress),
        ("a", "rtsp://127.0.0.1/x", RefusedAddress),
        ("a", "rtsp://169.254.169.254/x", RefusedAddress),
        ("a", "/etc/passwd", RefusedAddress),
        ("a", "", InvalidStream),
    ],
)
async def test_a_stream_that_cannot_be_is_refused_and_leaves_nothing(
    stream_id: str, url: str, error: type[Exception], supervisor: Supervisor, store: DesiredStore
) -> None:
    with pytest.raises(error):
        await supervisor.add_stream(StreamSpec(StreamId(stream_id), url))
    assert store.streams() == [] and await supervisor.list_streams() == []


async def test_an_id_is_taken_once(supervisor: Supervisor) -> None:
    await supervisor.add_stream(WHIP)
    with pytest.raises(Conflict, match="phone"):
        await supervisor.add_stream(WHIP)


async def test_capacities_are_refused_with_the_setting_that_raises_them(supervisor: Supervisor) -> None:
    for name in ("a", "b"):
        await supervisor.add_stream(StreamSpec(StreamId(name), "whip:"))
    with pytest.raises(LimitReached, match="max_streams"):
        await supervisor.add_stream(WHIP)
    for words in ("the red one", "the blue one"):
        await supervisor.add_query(StreamId("a"), words, QueryKind.REFER)
    with pytest.raises(LimitReached, match="max_queries_per_stream"):
        await supervisor.add_query(StreamId("a"), "the green one", QueryKind.REFER)
    await supervisor.add_query(StreamId("b"), "the green one", QueryKind.REFER)


@pytest.mark.parametrize("words", ["", "   ", "x" * 10_000, "two\nlines"])
async def test_words_that_cannot_be_asked_change_nothing(
    words: str, supervisor: Supervisor, store: DesiredStore
) -> None:
    await supervisor.add_stream(WHIP)
    with pytest.raises(InvalidQuery):
        await supervisor.add_query(WHIP.stream_id, words, QueryKind.REFER)
    added = await supervisor.add_query(WHIP.stream_id, "the red circle", QueryKind.REFER)
    with pytest.raises(InvalidQuery):
        await supervisor.edit_query(added.query.query_id, words)
    assert store.queries() == [added.query]


async def test_unknown_ids_are_not_found(supervisor: Supervisor) -> None:
    with pytest.raises(NotFound, match="saccade stream list"):
        await supervisor.get_stream(StreamId("none"))
    with pytest.raises(NotFound):
        await supervisor.add_query(StreamId("none"), "the red circle", QueryKind.REFER)
    with pytest.raises(NotFound, match="saccade query list"):
        await supervisor.edit_query(QueryId("none"), "the red circle")
    with pytest.raises(NotFound):
        await supervisor.remove_query(QueryId("none"))
    with pytest.raises(NotFound):
        await supervisor.whip_offer(StreamId("none"), "v=0")


async def test_a_removed_query_is_gone_everywhere(supervisor: Supervisor, store: DesiredStore) -> None:
    await supervisor.add_stream(WHIP)
    added = await supervisor.add_query(WHIP.stream_id, "the red circle", QueryKind.REFER)
    await supervisor.remove_query(added.query.query_id)
    assert store.queries() == []
    assert await supervisor.list_queries(WHIP.stream_id) == []


async def test_edits_at_the_same_time_are_made_one_after_the_other(
    supervisor: Supervisor, store: DesiredStore
) -> None:
    await supervisor.add_stream(WHIP)
    added = await supervisor.add_query(WHIP.stream_id, "the red circle", QueryKind.REFER)
    words = ["the blue square", "the green star", "the white ring"]
    edited = [supervisor.edit_query(added.query.query_id, text) for text in words]
    await asyncio.gather(*edited)
    (kept,) = store.queries()
    assert kept.revision == 4
    assert kept == (await supervisor.get_query(added.query.query_id)).query


async def test_additions_at_the_same_time_respect_the_limits(
    supervisor: Supervisor, store: DesiredStore
) -> None:
    specs = [StreamSpec(StreamId(name), "whip:") for name in ("a", "b", "c", "d")]
    outcomes = await asyncio.gather(*map(supervisor.add_stream, specs), return_exceptions=True)
    assert sum(isinstance(outcome, LimitReached) for outcome in outcomes) == 2
    assert len(store.streams()) == 2


async def test_a_query_added_while_its_stream_is_removed_leaves_no_orphan(
    supervisor: Supervisor, store: DesiredStore
) -> None:
    supervisor._keepers = [Unheard()]
    for _ in range(10):
        await supervisor.add_stream(WHIP)
        await asyncio.gather(
            supervisor.remove_stream(WHIP.stream_id),
            supervisor.add_query(WHIP.stream_id, "the red circle", QueryKind.REFER),
            return_exceptions=True,
        )
        assert store.streams() == [] and store.queries() == []


async def test_a_watch_over_redis_outlives_what_nobody_foresaw(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([OSError("no more processes"), StoreUnavailable("It is away.")])

    def look(_: SecretStr) -> None:
        for trouble in looks:
            raise trouble

    monkeypatch.setattr("actors.supervisor.ping", look)
    monkeypatch.setattr("actors.supervisor._STORE_LOOK_S", 0.01)
    watch = asyncio.create_task(supervisor._watch_store())
    seen = set()
    while "ok" not in seen or len(seen) < 3:
        assert not watch.done()
        seen.add((await supervisor.readiness())["redis"])
        await asyncio.sleep(0.001)
    watch.cancel()
    assert {problem.partition(":")[0] for problem in seen} == {
        "ok",
        "Looking after Redis failed",
        "It is away.",
    }


class HangingGrounder(ColourGrounder):
    """Never comes back from some words."""

    def ground(self, keyframe: Keyframe) -> list[Answer]:
        if keyframe.queries[0].text == "hang":
            time.sleep(600)
        return super().ground(keyframe)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
async def test_a_grounder_whose_model_hangs_is_started_again(supervisor: Supervisor) -> None:
    made = ray.remote(GrounderActor).options(num_cpus=0, max_restarts=-1)
    supervisor._grounder = made.remote(HangingGrounder, 0.5)
    query = Query(QueryId("q"), StreamId("s"), "hang")
    asked = Keyframe(frame_of(square_picture((20, 20)), 0, "s"), (query,), 0.0)
    pid = await call(supervisor._grounder.alive.remote(), 60)
    watch = asyncio.create_task(supervisor._watch_grounder())
    with pytest.raises(GroundingTimedOut):
        await call(supervisor._grounder.ground.remote(asked), 60)
    while True:
        with suppress(PartDied, GroundingTimedOut):
            if await call(supervisor._grounder.alive.remote(), 60) != pid:
                break
        await asyncio.sleep(0.05)
    again = replace(asked, queries=(replace(query, text="the red square"),))
    grounded = await call(supervisor._grounder.ground.remote(again), 60)
    assert len(grounded.answers) == 1
    watch.cancel()
    ray.kill(supervisor._grounder)


async def test_without_redis_nothing_is_promised(tmp_path: Path) -> None:
    supervisor = Supervisor(settings(tmp_path), NOWHERE, None)
    with pytest.raises(StoreUnavailable):
        await supervisor.add_stream(WHIP)
    assert await supervisor.list_streams() == []


async def test_before_it_has_started_it_says_so(supervisor: Supervisor) -> None:
    parts = await supervisor.readiness()
    assert set(parts) == {"redis", "grounder", "workers"}
    assert parts["workers"] != "ok" and parts["grounder"] != "ok"
    await supervisor.add_stream(WHIP)
    with pytest.raises(ServiceUnavailable, match="starting"):
        await supervisor.whip_offer(WHIP.stream_id, "v=0")


async def test_credentials_are_kept_for_connecting_and_never_shown(
    supervisor: Supervisor, store: DesiredStore
) -> None:
    spec = StreamSpec(StreamId("door"), "rtsp://user:hunter2@93.184.215.14/stream1")
    status = await supervisor.add_stream(spec)
    assert "hunter2" not in str(status)
    assert store.streams() == [spec]
