"""The grounder's process: one model, one bounded queue, all streams. Ray is applied in supervisor.py."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric

from actors.keyframe_queue import KeyframeQueue, Ticket
from engines.protocols import Grounder
from streaming.vocabulary import Answer, Keyframe, QueryId

log = logging.getLogger(__name__)

QUEUE_CAPACITY = 32
"Two waiting keyframes for each of the 16 streams a service takes by default."

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Grounded:
    """What became of one keyframe: an answer for each query, or the word that a newer one took its place."""

    answers: tuple[Answer, ...] = ()
    superseded: tuple[QueryId, ...] = ()


class GrounderActor:
    """Answers keyframes one at a time, in a thread of its own, newest per query first served.

    `load` builds the model in this process. Must be made and used in one event loop.
    """

    def __init__(self, load: Callable[[], Grounder]) -> None:
        self._grounder = load()
        self._queue = KeyframeQueue(QUEUE_CAPACITY)
        self._promises: dict[Ticket, asyncio.Future[Grounded]] = {}
        self._superseded: dict[Ticket, tuple[QueryId, ...]] = {}
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ground")
        self._loop_task: asyncio.Task[None] | None = None
        self._metrics = _Metrics()

    async def ground(self, keyframe: Keyframe) -> Grounded:
        """Queue a keyframe and wait for its answers.

        Raises what the model raises. Cancelling leaves the keyframe in the queue; its answer is dropped.
        """
        if self._loop_task is None:
            self._loop_task = asyncio.create_task(self._serve())
        ticket, pushed_out = self._queue.put(keyframe)
        promise: asyncio.Future[Grounded] = asyncio.get_running_loop().create_future()
        self._promises[ticket] = promise
        for gone in pushed_out:
            self._give_up(gone.ticket, gone.query_ids)
        self._metrics.depth.set(len(self._queue))
        self._arrived.set()
        return await promise

    async def alive(self) -> int:
        """The process id: proof of life for the supervisor."""
        return os.getpid()

    async def metrics(self) -> list[Metric]:
        """Samples of this process, to be merged by the gateway."""
        return list(self._metrics.registry.collect())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while (taken := self._queue.take()) is not None:
                self._metrics.depth.set(len(self._queue))
                ticket, keyframe = taken
                started_s = loop.time()
                try:
                    answers = await loop.run_in_executor(self._thread, self._grounder.ground, keyframe)
                except Exception as exc:  # the asker hears it, the queue lives on
                    log.exception("Grounding failed on a keyframe of %s.", keyframe.frame.stream_id)
                    self._metrics.keyframes.labels(outcome="failed").inc()
                    self._fail(ticket, exc)
                    continue
                self._metrics.seconds.observe(loop.time() - started_s)
                self._metrics.keyframes.labels(outcome="answered").inc()
                self._fulfil(ticket, Grounded(tuple(answers), self._superseded.pop(ticket, ())))

    def _give_up(self, ticket: Ticket, query_ids: tuple[QueryId, ...]) -> None:
        """Note superseded queries; when nothing of the keyframe is left to answer, say so at once."""
        gone = self._superseded.pop(ticket, ()) + query_ids
        self._metrics.keyframes.labels(outcome="superseded").inc()
        if self._queue.waits(ticket):
            self._superseded[ticket] = gone
        else:
            self._fulfil(ticket, Grounded(superseded=gone))

    def _fulfil(self, ticket: Ticket, grounded: Grounded) -> None:
        promise = self._promises.pop(ticket)
        if not promise.done():
            promise.set_result(grounded)

    def _fail(self, ticket: Ticket, exc: Exception) -> None:
        self._superseded.pop(ticket, None)
        promise = self._promises.pop(ticket)
        if not promise.done():
            promise.set_exception(exc)


class _Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "saccade_grounder_seconds",
            "Time the model worked on a keyframe.",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.depth = Gauge(
            "saccade_grounder_queue_depth", "Keyframes that wait for the model.", registry=self.registry
        )
        self.keyframes = Counter(
            "saccade_keyframes", "Keyframes by what became of them.", ["outcome"], registry=self.registry
        )
