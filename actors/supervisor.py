"""Holds what people asked for against what runs. Implements the gateway's `Control`; starts and stops Ray.

Desired state lives in Redis, so that a restart brings everything back, and in memory, so that Redis may be
away. A change is written to Redis first: if that fails nothing has changed. Then the worker is told at once,
and again twice a second by its `Keeper`, which is how a restarted worker gets its streams back.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from dataclasses import replace
from functools import partial
from typing import Any

import ray
from prometheus_client import CollectorRegistry, Counter, Metric
from pydantic import SecretStr

from actors.engine_loading import load_grounder, load_trackers
from actors.grounder import GrounderActor
from actors.grounder_client import GrounderClient
from actors.metrics import exposition
from actors.monitor import Keeper
from actors.placement import place
from actors.ray_runtime import CannotStart, call, start_ray, stop_ray
from actors.redis_server import RedisServer
from actors.shutdown import to_its_end
from actors.worker import Desired, Worker
from streaming.errors import (
    Conflict,
    GroundingTimedOut,
    LimitReached,
    NotFound,
    SaccadeError,
    ServiceUnavailable,
    SourceUnavailable,
    StoreUnavailable,
)
from streaming.results.connection import ping
from streaming.results.desired_store import DesiredStore
from streaming.settings import Settings
from streaming.status import QueryStatus, StreamStatus, WebRtcSession
from streaming.url_guard import SourcePolicy, check_source_url, redact
from streaming.validation import check_query_text, check_region, check_stream_id
from streaming.vocabulary import (
    Query,
    QueryId,
    QueryKind,
    Region,
    SourceState,
    StreamId,
    StreamSpec,
)

log = logging.getLogger(__name__)

_STORE_LOOK_S = 0.5
_ALIVE_TIMEOUT_S = 30.0
_SIGNAL_TIMEOUT_S = 10.0
_TELL_TIMEOUT_S = 5.0
_METRICS_TIMEOUT_S = 2.0
_STOP_TIMEOUT_S = 8.0
_ANEW_S = 5.0
"Before an actor that failed to start again is made anew."
_ACTOR: dict[str, Any] = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": 0}
_GROUNDER_CALLS = 256
"Keyframes that may be on their way to the grounder at a time; its own queue is what bounds them."


class Supervisor:
    """The service's one place of decisions about streams and queries. One asyncio loop owns it."""

    def __init__(self, settings: Settings, redis_url: SecretStr, store_server: RedisServer | None) -> None:
        """`store_server`: our own Redis, to be restarted when it dies; None if it is somebody else's."""
        self._settings = settings
        self._redis_url = redis_url
        self._store_server = store_server
        self._store = DesiredStore(redis_url)
        self._policy = SourcePolicy.from_settings(settings)
        self._streams: dict[StreamId, StreamSpec] = {}
        self._queries: dict[QueryId, Query] = {}
        self._places: dict[StreamId, int] = {}
        self._changing = asyncio.Lock()
        "Held from the check of a change to its last effect here; what waits for others is done outside."
        self._keepers: list[Keeper] = []
        # Several services may share a cluster.
        self._grounder_name = f"grounder-{secrets.token_hex(4)}"
        self._grounder: Any = None
        self._store_problem = ""
        self._grounder_problem = "It is starting."
        self._watching: list[asyncio.Task[None]] = []
        self._counted = CollectorRegistry()
        self._store_restarts = Counter(
            "saccade_store_restarts", "Times our own Redis was started again.", registry=self._counted
        )

    async def start(self) -> None:
        """Bring back what was desired, start Ray, the grounder and the workers; returns when all answer.

        Raises StoreUnavailable, ServiceUnavailable, CheckpointError.
        """
        self._streams = {spec.stream_id: spec for spec in await asyncio.to_thread(self._store.streams)}
        stored = await asyncio.to_thread(self._store.queries)
        self._queries = {query.query_id: query for query in stored if query.stream_id in self._streams}
        self._place()
        await to_its_end(asyncio.to_thread(start_ray, self._settings.ray_address))
        self._start_actors()
        self._watching = [
            asyncio.create_task(self._watch_store(), name="watch-store"),
            asyncio.create_task(self._watch_grounder(), name="watch-grounder"),
        ]
        await self._wait_until_up()

    async def stop(self) -> None:
        """End every process of ours; results that wait are written first. Harmless if `start` failed."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await asyncio.gather(*(keeper.close() for keeper in self._keepers))
        closing = (call(keeper.handle.close.remote(), _STOP_TIMEOUT_S) for keeper in self._keepers)
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, BaseException):
                log.warning("A worker did not stop by itself: %s", outcome)
        await asyncio.to_thread(stop_ray)
        self._store.close()

    # Control: streams

    async def list_streams(self) -> list[StreamStatus]:
        """See Control."""
        return [self._stream_status(spec) for spec in self._streams.values()]

    async def get_stream(self, stream_id: StreamId) -> StreamStatus:
        """See Control."""
        return self._stream_status(self._stream(stream_id))

    async def add_stream(self, spec: StreamSpec) -> StreamStatus:
        """See Control."""
        check_stream_id(spec.stream_id)
        self._check_room_for(spec.stream_id)
        try:
            await asyncio.to_thread(check_source_url, spec.url, self._policy)
        except SourceUnavailable as exc:
            # A name that does not resolve now may do so later: the source goes on trying, and says so.
            log.warning("Stream %s is added although: %s", spec.stream_id, exc)
        async with self._changing:
            self._check_room_for(spec.stream_id)
            await asyncio.to_thread(self._store.put_stream, spec)
            self._streams[spec.stream_id] = spec
            self._place()
        await self._tell(spec.stream_id)
        return self._stream_status(self._stream(spec.stream_id))

    async def remove_stream(self, stream_id: StreamId) -> None:
        """See Control."""
        async with self._changing:
            self._stream(stream_id)
            keeper = self._keeper_of(stream_id)
            await asyncio.to_thread(self._store.remove_stream, stream_id)
            del self._streams[stream_id]
            self._queries = {
                key: query for key, query in self._queries.items() if query.stream_id != stream_id
            }
            self._place()
        await keeper.push(_TELL_TIMEOUT_S)

    # Control: queries

    async def list_queries(self, stream_id: StreamId) -> list[QueryStatus]:
        """See Control."""
        return list((await self.get_stream(stream_id)).queries)

    async def get_query(self, query_id: QueryId) -> QueryStatus:
        """See Control."""
        query = self._query(query_id)
        return next(
            status
            for status in self._stream_status(self._streams[query.stream_id]).queries
            if status.query.query_id == query_id
        )

    async def add_query(
        self, stream_id: StreamId, text: str, kind: QueryKind, region: Region | None = None
    ) -> QueryStatus:
        """See Control."""
        accepted_s = time.time()
        text = check_query_text(text, self._settings.max_query_chars)
        region, query_id = check_region(region, kind), QueryId(f"q-{secrets.token_hex(4)}")
        query = Query(query_id, stream_id, text, kind, accepted_s=accepted_s, region=region)
        async with self._changing:
            self._stream(stream_id)
            self._check_room_on(stream_id)
            await self._keep(query)
        await self._tell(stream_id)
        return await self.get_query(query.query_id)

    async def edit_query(self, query_id: QueryId, text: str) -> QueryStatus:
        """See Control."""
        accepted_s = time.time()
        text = check_query_text(text, self._settings.max_query_chars)
        async with self._changing:
            query = self._query(query_id)
            if text != query.text:
                await self._keep(
                    replace(query, text=text, revision=query.revision + 1, accepted_s=accepted_s)
                )
        await self._tell(query.stream_id)
        return await self.get_query(query_id)

    async def remove_query(self, query_id: QueryId) -> None:
        """See Control."""
        async with self._changing:
            query = self._query(query_id)
            await asyncio.to_thread(self._store.remove_query, query_id)
            del self._queries[query_id]
        await self._tell(query.stream_id)

    # Control: WebRTC, health

    async def whip_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        """See Control."""
        session: WebRtcSession = await self._signal(stream_id, "whip_offer", sdp)
        return session

    async def whip_end(self, stream_id: StreamId, session_id: str) -> None:
        """See Control."""
        await self._signal(stream_id, "whip_end", session_id)

    async def whep_offer(self, stream_id: StreamId, sdp: str) -> WebRtcSession:
        """See Control."""
        session: WebRtcSession = await self._signal(stream_id, "whep_offer", sdp)
        return session

    async def whep_end(self, stream_id: StreamId, session_id: str) -> None:
        """See Control."""
        await self._signal(stream_id, "whep_end", session_id)

    async def readiness(self) -> dict[str, str]:
        """See Control."""
        parts = {"redis": self._store_problem, "grounder": self._grounder_problem}
        parts |= {keeper.name: keeper.problem for keeper in self._keepers}
        if not self._keepers:
            parts["workers"] = "They are starting."
        return {name: problem or "ok" for name, problem in parts.items()}

    async def metrics(self) -> bytes:
        """See Control."""
        handles = [keeper.handle for keeper in self._keepers]
        handles += [self._grounder] if self._grounder is not None else []
        asked = (call(handle.metrics.remote(), _METRICS_TIMEOUT_S) for handle in handles)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        # A part that is just dying has no samples; the page of the others is still worth having.
        pages: list[list[Metric]] = [page for page in answers if isinstance(page, list)]
        return exposition([list(self._counted.collect()), *pages])

    # Processes

    def _start_actors(self) -> None:
        self._grounder = self._make_grounder()
        for number in range(self._settings.workers):
            keeper = Keeper(f"worker-{number}", self._make_worker, partial(self._desired, number))
            self._keepers.append(keeper)

    def _make_grounder(self) -> Any:
        options = {"name": self._grounder_name, "max_concurrency": _GROUNDER_CALLS, **_ACTOR}
        load = partial(load_grounder, self._settings)
        return ray.remote(GrounderActor).options(**options).remote(load, self._settings.grounding_budget_s)

    def _make_worker(self) -> Any:
        make_tracker = partial(load_trackers, self._settings)
        ground = GrounderClient(self._grounder_name, 2 * self._settings.grounding_budget_s)
        worker = ray.remote(Worker).options(**_ACTOR)
        return worker.remote(self._settings, self._redis_url, make_tracker, ground)

    async def _wait_until_up(self) -> None:
        """Return when every part answers. Raises what kept a part from starting."""
        while any(problem != "ok" for problem in (await self.readiness()).values()):
            for task in self._watching:
                if task.done():
                    task.result()
            for keeper in self._keepers:
                keeper.check()
            await asyncio.sleep(0.05)

    async def _watch_store(self) -> None:
        """Notice that Redis is away, start our own again, and give it back what it forgot."""
        while True:
            try:
                await asyncio.to_thread(ping, self._redis_url)
                if self._store_problem:
                    await self._give_back()
                self._store_problem = ""
            except StoreUnavailable as exc:
                self._store_problem = exc.message
                await self._revive_store()
            except Exception as exc:  # the rim of the task: a watch that ended would never see Redis return
                log.error("Looking after Redis failed.", exc_info=exc)
                self._store_problem = f"Looking after Redis failed: {type(exc).__name__}; see the log."
            await asyncio.sleep(_STORE_LOOK_S)

    async def _give_back(self) -> None:
        """Write all that is desired to a Redis that is back, and may be empty."""
        async with self._changing:
            streams, queries = list(self._streams.values()), list(self._queries.values())
            await asyncio.to_thread(self._store.replace_all, streams, queries)
        log.info("Redis is back.")

    async def _revive_store(self) -> None:
        if self._store_server is None or self._store_server.is_running:
            return
        log.warning("Our own Redis died; it is started again.")
        try:
            await to_its_end(asyncio.to_thread(self._store_server.restart))
            self._store_restarts.inc()
        except (SaccadeError, OSError) as exc:
            log.error("Redis does not start: %s", exc)

    async def _watch_grounder(self) -> None:
        """Know whether it lives, end it when its model hangs, and make it anew when Ray has given it up.

        Raises CannotStart at first.
        """
        was_up = False
        while True:
            try:
                await call(self._grounder.alive.remote(), _ALIVE_TIMEOUT_S)
                was_up, self._grounder_problem = True, ""
            except CannotStart as exc:
                self._grounder_problem = exc.message
                if not was_up:
                    raise
                log.error("The grounder cannot start again, and is tried anew: %s", exc)
                await asyncio.sleep(_ANEW_S)
                self._grounder = self._make_grounder()
            except GroundingTimedOut as exc:
                # Its model's thread cannot be interrupted; the process can.
                self._grounder_problem = exc.message
                log.error("The grounder is killed and started again: %s", exc)
                ray.kill(self._grounder, no_restart=False)
            except ServiceUnavailable as exc:
                self._grounder_problem = exc.message
            await asyncio.sleep(_STORE_LOOK_S)

    # Desired state

    def _desired(self, number: int) -> Desired:
        mine = tuple(spec for spec in self._streams.values() if self._places[spec.stream_id] == number)
        ids = {spec.stream_id for spec in mine}
        return Desired(mine, tuple(query for query in self._queries.values() if query.stream_id in ids))

    def _place(self) -> None:
        self._places = place(self._streams, self._places, self._settings.workers)

    def _stream(self, stream_id: StreamId) -> StreamSpec:
        try:
            return self._streams[stream_id]
        except KeyError:
            raise NotFound(f"There is no stream {stream_id}.", remedy="See `saccade stream list`.") from None

    def _query(self, query_id: QueryId) -> Query:
        try:
            return self._queries[query_id]
        except KeyError:
            raise NotFound(f"There is no query {query_id}.", remedy="See `saccade query list`.") from None

    def _keeper_of(self, stream_id: StreamId) -> Keeper:
        if not self._keepers:
            raise ServiceUnavailable("The service is starting.", remedy="Try again in a moment.")
        return self._keepers[self._places[stream_id]]

    def _check_room_for(self, stream_id: StreamId) -> None:
        """Raises Conflict, LimitReached."""
        if stream_id in self._streams:
            raise Conflict(f"There is a stream {stream_id} already.", remedy="Choose another id.")
        if len(self._streams) >= self._settings.max_streams:
            raise LimitReached(
                f"All {self._settings.max_streams} streams are taken.",
                remedy="Remove one, or raise max_streams.",
            )

    def _check_room_on(self, stream_id: StreamId) -> None:
        """Raises LimitReached."""
        there = sum(query.stream_id == stream_id for query in self._queries.values())
        if there >= self._settings.max_queries_per_stream:
            raise LimitReached(
                f"Stream {stream_id} has {there} queries already.",
                remedy="Remove one, or raise max_queries_per_stream.",
            )

    async def _keep(self, query: Query) -> None:
        await asyncio.to_thread(self._store.put_query, query)
        self._queries[query.query_id] = query

    async def _tell(self, stream_id: StreamId) -> None:
        """Let the worker know now rather than at its next look; no news if the stream is gone meanwhile."""
        if self._keepers and stream_id in self._places:
            await self._keeper_of(stream_id).push(_TELL_TIMEOUT_S)

    async def _signal(self, stream_id: StreamId, verb: str, text: str) -> Any:
        self._stream(stream_id)
        handle = self._keeper_of(stream_id).handle
        return await call(getattr(handle, verb).remote(stream_id, text), _SIGNAL_TIMEOUT_S)

    def _stream_status(self, spec: StreamSpec) -> StreamStatus:
        """The worker's word on a stream, with every desired query in it."""
        status = self._keepers and self._keeper_of(spec.stream_id).status(spec.stream_id)
        if not status:
            problem = self._keeper_of(spec.stream_id).problem if self._keepers else "The service is starting."
            status = StreamStatus(spec.stream_id, redact(spec.url), SourceState.STARTING, problem)
        known = {(known.query.query_id, known.query.revision): known for known in status.queries}
        wanted = [query for query in self._queries.values() if query.stream_id == spec.stream_id]
        statuses = tuple(known.get((query.query_id, query.revision), QueryStatus(query)) for query in wanted)
        return replace(status, queries=statuses)
