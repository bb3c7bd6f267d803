"""The service's decisions about streams and queries, and the actors that carry them out.

Implements the gateway's `Control`; starts and stops Ray. The desired state is in memory (`desired_state.py`),
so that Redis may be away, and in Redis, so that a restart restores it. A change is written to Redis first: if
that fails nothing has changed. Then the worker's monitor sends it at once (`worker_client.py`), and again in
each round until the worker hosts it; that is also how a restarted worker gets its streams back. Ids, texts
and addresses are validated here and nowhere else.
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
from prometheus_client import Metric
from pydantic import SecretStr

from actors.actor_health import MonitorTimes
from actors.desired_state import DesiredState
from actors.engine_loading import load_grounder, load_trackers
from actors.grounder import GrounderActor
from actors.grounder_client import GrounderClient
from actors.metrics import exposition
from actors.monitor import ActorMonitor, RayActor
from actors.ray_runtime import call, start_ray, stop_ray
from actors.redis_monitor import RedisMonitor
from actors.redis_server import RedisServer
from actors.shutdown import reclaim_signals, run_to_completion
from actors.snapshot_store import SnapshotStore, snapshot_folder
from actors.worker import Worker
from actors.worker_client import WorkerClient
from streaming.errors import Conflict, LimitReached, ServiceUnavailable, SourceUnavailable
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

_SIGNALLING_TIMEOUT_S = 10.0
_REFRESH_TIMEOUT_S = 5.0
"For a worker to take in a change before the call returns; it takes it in later otherwise."
_METRICS_TIMEOUT_S = 2.0
_STOP_TIMEOUT_S = 8.0
_ACTOR: dict[str, Any] = {"num_cpus": 0, "max_restarts": 0, "max_task_retries": 0}
_GROUNDER_CALLS = 256
"Calls to the grounder at a time; its own queue bounds the keyframes."
_GROUNDER_TIMES = MonitorTimes(heartbeat_timeout_s=5.0, start_timeout_s=1800.0, hang_s=30.0)
"Loading a model of tens of GB takes minutes, and a working model may hold the interpreter for seconds."


class Supervisor:
    """Implements `dashboards.control.Control`. One asyncio loop owns it."""

    def __init__(self, settings: Settings, redis_url: SecretStr, redis_server: RedisServer | None) -> None:
        """`redis_server`: our own Redis, to be restarted when it dies; None if it is another's."""
        self._settings = settings
        self._redis_url = redis_url
        self._store = DesiredStore(redis_url)
        self._snapshots = SnapshotStore(snapshot_folder(settings))
        self._policy = SourcePolicy.from_settings(settings)
        self._desired = DesiredState(settings.workers)
        self._changing = asyncio.Lock()
        "Held from the check of a change to its last effect here; waiting for workers is done outside."
        self._redis = RedisMonitor(redis_url, redis_server, self._restore_desired)
        self._redis_task: asyncio.Task[None] | None = None
        self._workers: list[ActorMonitor[WorkerClient]] = []
        self._grounder: ActorMonitor[RayActor] | None = None
        self._spares: list[ActorMonitor[RayActor]] = []
        # Several services may share a cluster.
        self._grounder_name = f"grounder-{secrets.token_hex(4)}"

    async def start(self) -> None:
        """Restore the desired state, start Ray, the grounder and the workers; return when all answer.

        Raises StoreUnavailable, ServiceUnavailable, CheckpointError.
        """
        streams = await asyncio.to_thread(self._store.streams)
        self._desired.load(streams, await asyncio.to_thread(self._store.queries))
        await self._remove_stale_snapshots()
        await run_to_completion(asyncio.to_thread(start_ray, self._settings.ray_address))
        reclaim_signals()
        self._start_actors()
        self._redis_task = asyncio.create_task(self._redis.run(), name="monitor-redis")
        await self._wait_until_up()
        self._start_spares()

    async def stop(self) -> None:
        """End every process of ours; results that wait are written first. Harmless if `start` failed."""
        if self._redis_task is not None:
            self._redis_task.cancel()
            await asyncio.gather(self._redis_task, return_exceptions=True)
        await asyncio.gather(*(monitor.close() for monitor in [*self._monitors(), *self._spares]))
        closing = (call(monitor.actor.handle.close.remote(), _STOP_TIMEOUT_S) for monitor in self._workers)
        for outcome in await asyncio.gather(*closing, return_exceptions=True):
            if isinstance(outcome, BaseException):
                log.warning("A worker did not stop by itself: %s", outcome)
        await asyncio.to_thread(stop_ray)
        self._store.close()

    # Control: streams

    async def list_streams(self) -> list[StreamStatus]:
        """See Control."""
        return [self._stream_status(spec) for spec in self._desired.streams.values()]

    async def get_stream(self, stream_id: StreamId) -> StreamStatus:
        """See Control."""
        return self._stream_status(self._desired.stream(stream_id))

    async def add_stream(self, spec: StreamSpec) -> StreamStatus:
        """See Control."""
        check_stream_id(spec.stream_id)
        self._check_room_for(spec.stream_id)
        try:
            await asyncio.to_thread(check_source_url, spec.url, self._policy)
        except SourceUnavailable as exc:
            # A name that does not resolve now may do so later: the source keeps trying, and reports it.
            log.warning("Stream %s is added although: %s", spec.stream_id, exc)
        async with self._changing:
            self._check_room_for(spec.stream_id)
            await self._remove_stale_snapshots()
            await asyncio.to_thread(self._store.put_stream, spec)
            self._desired.put_stream(spec)
        await self._refresh_worker(spec.stream_id)
        return self._stream_status(self._desired.stream(spec.stream_id))

    async def remove_stream(self, stream_id: StreamId) -> None:
        """See Control."""
        async with self._changing:
            self._desired.stream(stream_id)
            monitor = self._worker_of(stream_id)
            await asyncio.to_thread(self._store.remove_stream, stream_id)
            self._desired.remove_stream(stream_id)
        await monitor.refresh(_REFRESH_TIMEOUT_S)
        async with self._changing:
            await self._remove_stale_snapshots()

    async def _remove_stale_snapshots(self) -> None:
        """Remove the snapshots of streams that are not there (any more)."""
        try:
            await asyncio.to_thread(self._snapshots.retain, tuple(self._desired.streams))
        except OSError as exc:
            log.warning("Snapshots of removed streams cannot be removed: %s", exc)

    # Control: queries

    async def list_queries(self, stream_id: StreamId) -> list[QueryStatus]:
        """See Control."""
        return list((await self.get_stream(stream_id)).queries)

    async def get_query(self, query_id: QueryId) -> QueryStatus:
        """See Control."""
        query = self._desired.query(query_id)
        return next(
            status
            for status in self._stream_status(self._desired.stream(query.stream_id)).queries
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
            self._desired.stream(stream_id)
            self._check_room_on(stream_id)
            await self._put_query(query)
        await self._refresh_worker(stream_id)
        return await self.get_query(query.query_id)

    async def edit_query(self, query_id: QueryId, text: str) -> QueryStatus:
        """See Control."""
        accepted_s = time.time()
        text = check_query_text(text, self._settings.max_query_chars)
        async with self._changing:
            query = self._desired.query(query_id)
            if text != query.text:
                await self._put_query(
                    replace(query, text=text, revision=query.revision + 1, accepted_s=accepted_s)
                )
        await self._refresh_worker(query.stream_id)
        return await self.get_query(query_id)

    async def remove_query(self, query_id: QueryId) -> None:
        """See Control."""
        async with self._changing:
            query = self._desired.query(query_id)
            await asyncio.to_thread(self._store.remove_query, query_id)
            self._desired.remove_query(query_id)
        await self._refresh_worker(query.stream_id)

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
        parts = {"redis": self._redis.problem}
        parts["grounder"] = self._grounder.problem if self._grounder is not None else "It is starting."
        parts |= {monitor.actor.name: monitor.problem for monitor in self._workers}
        if not self._workers:
            parts["workers"] = "They are starting."
        return {name: problem or "ok" for name, problem in parts.items()}

    async def metrics(self) -> bytes:
        """See Control."""
        handles = [monitor.actor.handle for monitor in self._monitors()]
        asked = (call(handle.metrics.remote(), _METRICS_TIMEOUT_S) for handle in handles)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        # A dying process has no metrics; those of the others are served all the same.
        pages: list[list[Metric]] = [page for page in answers if isinstance(page, list)]
        return exposition([list(self._redis.registry.collect()), *pages])

    # Actors

    def _start_actors(self) -> None:
        make_grounder = partial(self._make_grounder, self._grounder_name)
        self._grounder = ActorMonitor(RayActor("grounder", make_grounder), _GROUNDER_TIMES)
        for number in range(self._settings.workers):
            worker = WorkerClient(f"worker-{number}", number, self._make_worker, self._desired)
            self._workers.append(ActorMonitor(worker))

    def _start_spares(self) -> None:
        """Start the spares of the settings; nobody waits for them."""
        if "worker" in self._settings.warm_spares:
            spare = ActorMonitor(RayActor("spare worker", self._make_worker))
            for worker in self._workers:
                worker.spare = spare
            self._spares.append(spare)
        if "grounder" in self._settings.warm_spares and self._grounder is not None:
            make = partial(self._make_grounder, _spare(self._grounder_name))
            self._grounder.spare = ActorMonitor(RayActor("spare grounder", make), _GROUNDER_TIMES)
            self._spares.append(self._grounder.spare)

    def _make_grounder(self, name: str) -> Any:
        options = {"name": name, "max_concurrency": _GROUNDER_CALLS, **_ACTOR}
        load = partial(load_grounder, self._settings)
        return ray.remote(GrounderActor).options(**options).remote(load, self._settings.grounding_budget_s)

    def _make_worker(self) -> Any:
        make_tracker = partial(load_trackers, self._settings)
        names = [self._grounder_name]
        if "grounder" in self._settings.warm_spares:
            names.append(_spare(self._grounder_name))
        ground = GrounderClient(names, 2 * self._settings.grounding_budget_s)
        worker = ray.remote(Worker).options(**_ACTOR)
        return worker.remote(self._settings, self._redis_url, make_tracker, ground)

    def _monitors(self) -> list[ActorMonitor[RayActor]]:
        return [*self._workers, *([self._grounder] if self._grounder is not None else [])]

    async def _wait_until_up(self) -> None:
        """Return when every part answers. Raises what kept a part from starting."""
        while any(problem != "ok" for problem in (await self.readiness()).values()):
            for monitor in self._monitors():
                monitor.check()
            await asyncio.sleep(0.05)

    async def _restore_desired(self) -> None:
        """Write the desired state to a Redis that is back, and may be empty."""
        async with self._changing:
            streams, queries = list(self._desired.streams.values()), list(self._desired.queries.values())
            await asyncio.to_thread(self._store.replace_all, streams, queries)

    async def _refresh_worker(self, stream_id: StreamId) -> None:
        """Have the worker take in a change now; nothing if the stream was removed meanwhile."""
        if self._workers and stream_id in self._desired.streams:
            await self._worker_of(stream_id).refresh(_REFRESH_TIMEOUT_S)

    async def _signal(self, stream_id: StreamId, method: str, text: str) -> Any:
        self._desired.stream(stream_id)
        handle = self._worker_of(stream_id).actor.handle
        return await call(getattr(handle, method).remote(stream_id, text), _SIGNALLING_TIMEOUT_S)

    # Desired state

    def _worker_of(self, stream_id: StreamId) -> ActorMonitor[WorkerClient]:
        if not self._workers:
            raise ServiceUnavailable("The service is starting.", remedy="Try again in a moment.")
        return self._workers[self._desired.worker_of(stream_id)]

    def _check_room_for(self, stream_id: StreamId) -> None:
        """Raises Conflict, LimitReached."""
        if stream_id in self._desired.streams:
            raise Conflict(f"There is a stream {stream_id} already.", remedy="Choose another id.")
        if len(self._desired.streams) >= self._settings.max_streams:
            raise LimitReached(
                f"All {self._settings.max_streams} streams are taken.",
                remedy="Remove one, or raise max_streams.",
            )

    def _check_room_on(self, stream_id: StreamId) -> None:
        """Raises LimitReached."""
        count = len(self._desired.queries_of(stream_id))
        if count >= self._settings.max_queries_per_stream:
            raise LimitReached(
                f"Stream {stream_id} has {count} queries already.",
                remedy="Remove one, or raise max_queries_per_stream.",
            )

    async def _put_query(self, query: Query) -> None:
        await asyncio.to_thread(self._store.put_query, query)
        self._desired.put_query(query)

    def _stream_status(self, spec: StreamSpec) -> StreamStatus:
        """Return the worker's last status of a stream, with every desired query in it."""
        problem, status = "The service is starting.", None
        if self._workers:
            monitor = self._worker_of(spec.stream_id)
            problem = monitor.problem
            status = None if problem else monitor.actor.status(spec.stream_id)
        if status is None:
            status = StreamStatus(spec.stream_id, redact(spec.url), SourceState.STARTING, problem)
        reported = {(known.query.query_id, known.query.revision): known for known in status.queries}
        queries = tuple(
            reported.get((query.query_id, query.revision), QueryStatus(query))
            for query in self._desired.queries_of(spec.stream_id)
        )
        return replace(status, queries=queries)


def _spare(name: str) -> str:
    """Return the name of the spare of a named actor."""
    return f"{name}-spare"
