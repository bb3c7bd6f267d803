"""The grounder actor: one model, one bounded queue, all streams. Ray is applied in supervisor.py.

`keyframe_queue.py` decides which requests are served next. The model works in a thread of its own, on
keyframes of several streams in a batch where only masks are wanted. A grounding that fails or takes longer
than its budget is an error for its requests; the next batch starts when the model is free. A model that is
not free within another budget hangs: `heartbeat` raises, and the monitor kills the process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric

from actors.heartbeat import Heartbeat
from actors.keyframe_queue import (
    KeyframeQueue,
    Request,
    RequestId,
    Superseded,
    batch_streams,
    group_by_stream,
    merge_by_stream,
    needs_text,
)
from actors.partial_answers import PartialAnswer, PartialAnswers
from engines.protocols import SharedGrounder
from streaming.errors import GroundingFailed, GroundingTimedOut, SaccadeError
from streaming.vocabulary import Answer, Keyframe, Query, QueryId

log = logging.getLogger(__name__)

QUEUE_CAPACITY: Final = 32
"Two keyframes for each of the 16 streams a service takes by default."
BUDGET_S: Final = 30.0
_OVERRUN_POLL_S: Final = 1.0
"How often requests that wait behind a model over its budget are checked."

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Grounded:
    """The outcome of one keyframe."""

    answers: tuple[Answer, ...] = ()
    superseded: tuple[QueryId, ...] = ()
    "Queries without an answer, because a newer keyframe replaced this one or the queue was full."


class GrounderActor:
    """Answers keyframes with one model, the longest-waiting first.

    `load` builds the model in this process; `budget_s` is what one grounding may take, without its wait.
    Must be created and used in one event loop.
    """

    def __init__(self, load: Callable[[], SharedGrounder], budget_s: float = BUDGET_S) -> None:
        self._grounder = load()
        self._budget_s = budget_s
        self._queue = KeyframeQueue(QUEUE_CAPACITY)
        self._results: dict[RequestId, asyncio.Future[Grounded]] = {}
        "Of every request that has no outcome yet."
        self._superseded: dict[RequestId, tuple[QueryId, ...]] = {}
        self._partial_answers: dict[RequestId, PartialAnswers] = {}
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ground")
        self._loop_task: asyncio.Task[None] | None = None
        self._overrun_since_s: float | None = None
        "When the model overran its budget; None: it is within it."
        self._stream_s = 1.0
        "Seconds per stream of the last batch for masks; the first batch has one stream."
        self._metrics = _Metrics()

    async def ground(self, keyframe: Keyframe) -> Grounded:
        """Queue a keyframe and wait for its answers.

        Raises GroundingFailed, GroundingTimedOut, and what the model raises about the query (InvalidQuery).
        Cancelling leaves the keyframe in the queue; its answer is dropped.
        """
        return await self._put(keyframe)[1]

    async def generate(self, keyframe: Keyframe) -> AsyncIterator[PartialAnswer | Grounded]:
        """As `ground`, with the partial answers of `ask` and `describe` before the outcome.

        A slow reader misses some, but never the newest.
        """
        request_id, result = self._put(keyframe)
        partial_answers = self._partial_answers[request_id] = PartialAnswers()
        result.add_done_callback(lambda _: partial_answers.close())
        try:
            async for partial in partial_answers:
                yield partial
        finally:
            self._partial_answers.pop(request_id, None)
        yield await result

    async def heartbeat(self) -> Heartbeat:
        """Return the process id. Raises GroundingTimedOut if the model hangs."""
        since_s = self._overrun_since_s
        if since_s is not None and asyncio.get_running_loop().time() - since_s > self._budget_s:
            raise GroundingTimedOut(
                f"The model hangs: one grounding has been running for more than {2 * self._budget_s:g} s.",
                remedy="It is started again. If that happens often, raise grounding_budget_s.",
            )
        return Heartbeat(os.getpid())

    async def metrics(self) -> list[Metric]:
        """Return the metrics of this process."""
        return list(self._metrics.registry.collect())

    def _put(self, keyframe: Keyframe) -> tuple[RequestId, asyncio.Future[Grounded]]:
        loop = asyncio.get_running_loop()
        if self._loop_task is None:
            self._loop_task = asyncio.create_task(self._serve())
        request_id, superseded = self._queue.put(keyframe, loop.time())
        result: asyncio.Future[Grounded] = loop.create_future()
        self._results[request_id] = result
        for gone in superseded:
            self._supersede(gone)
        self._metrics.depth.set(len(self._queue))
        self._arrived.set()
        return request_id, result

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while (ready_s := self._queue.ready_s()) is not None:
                await asyncio.sleep(ready_s - loop.time())
                batch = self._queue.take(loop.time(), batch_streams(self._stream_s))
                self._metrics.depth.set(len(self._queue))
                if batch:
                    await self._answer(batch)

    async def _answer(self, batch: list[Request]) -> None:
        """Ground a batch and set its results; return when the model is free again."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        work = loop.run_in_executor(self._thread, self._ground, batch, loop)
        await asyncio.wait({work}, timeout=self._budget_s)
        if not work.done():
            await self._wait_for_overrun(work, batch)
            return
        try:
            found = work.result()
        except Exception as exc:  # an error for the requests; the queue is served on
            if len(batch) > 1:
                # One request may be the cause: each stream alone, then each request alone.
                groups = group_by_stream(batch)
                for group in groups if len(groups) > 1 else ([request] for request in batch):
                    await self._answer(group)
            else:
                self._fail([batch[0].request_id], _failed(exc, batch[0].keyframe))
            return
        if not needs_text(batch[0].keyframe):
            self._stream_s = (loop.time() - started_s) / len(group_by_stream(batch))
        self._metrics.seconds.observe(loop.time() - started_s)
        for request, answers in zip(batch, found, strict=True):
            self._metrics.keyframes.labels(outcome="answered").inc()
            waited = (_with_wait(answer, request.waited_s) for answer in answers)
            superseded = self._superseded.pop(request.request_id, ())
            self._set_result(request.request_id, Grounded(tuple(waited), superseded))

    def _ground(self, batch: list[Request], loop: asyncio.AbstractEventLoop) -> list[list[Answer]]:
        """Return the answers to each request, in their order. Runs in the model's thread."""
        keyframes = [request.keyframe for request in batch]
        if not needs_text(keyframes[0]):
            return self._ground_masks(keyframes)
        request_id, deadline_s = batch[0].request_id, time.monotonic() + self._budget_s

        def on_partial(query: Query, text: str) -> None:
            if time.monotonic() > deadline_s:
                raise self._overrun()
            partial = PartialAnswer(query.query_id, query.revision, text)
            loop.call_soon_threadsafe(self._put_partial, request_id, partial)

        return [self._grounder.generate(keyframes[0], on_partial)]

    def _ground_masks(self, keyframes: list[Keyframe]) -> list[list[Answer]]:
        """Ground one image per stream and return the answers to each keyframe."""
        merged = merge_by_stream(keyframes)
        answers = {
            (keyframe.frame.stream_id, query.query_id): answer
            for keyframe, found in zip(merged, self._grounder.ground_batch(merged), strict=True)
            for query, answer in zip(keyframe.queries, found, strict=True)
        }
        return [
            [answers[keyframe.frame.stream_id, query.query_id] for query in keyframe.queries]
            for keyframe in keyframes
        ]

    def _put_partial(self, request_id: RequestId, partial: PartialAnswer) -> None:
        partial_answers = self._partial_answers.get(request_id)
        if partial_answers is not None:
            partial_answers.put(partial, asyncio.get_running_loop().time())

    async def _wait_for_overrun(self, work: asyncio.Future[list[list[Answer]]], batch: list[Request]) -> None:
        """Fail the batch, and wait for the model, which cannot be interrupted; queued requests expire."""
        self._fail([request.request_id for request in batch], self._overrun())
        self._overrun_since_s = asyncio.get_running_loop().time()
        while not work.done():
            await asyncio.wait({work}, timeout=_OVERRUN_POLL_S)
            for expired in self._queue.expire(asyncio.get_running_loop().time() - self._budget_s):
                self._fail([expired.request_id], self._overrun())
        self._overrun_since_s = None
        if not work.cancelled() and (exc := work.exception()) is not None:
            log.warning("A grounding failed after its budget: %s.", type(exc).__name__)

    def _overrun(self) -> GroundingTimedOut:
        return GroundingTimedOut(
            f"The model did not answer within {self._budget_s:g} s.",
            remedy="Ask less at a time, take a smaller model, or raise grounding_budget_s.",
        )

    def _supersede(self, gone: Superseded) -> None:
        """Record superseded queries; a request that has none left gets its result at once."""
        lost = self._superseded.pop(gone.request_id, ()) + gone.query_ids
        self._metrics.keyframes.labels(outcome="superseded").inc()
        if gone.request_id in self._queue:
            self._superseded[gone.request_id] = lost
        else:
            self._set_result(gone.request_id, Grounded(superseded=lost))

    def _set_result(self, request_id: RequestId, grounded: Grounded) -> None:
        result = self._results.pop(request_id)
        if not result.done():
            result.set_result(grounded)

    def _fail(self, request_ids: Sequence[RequestId], exc: SaccadeError) -> None:
        for request_id in request_ids:
            self._metrics.keyframes.labels(outcome="failed").inc()
            self._superseded.pop(request_id, None)
            result = self._results.pop(request_id)
            if not result.done():
                result.set_exception(exc)
                # The caller may have been cancelled; asyncio need not log a result that is not awaited.
                result.exception()


def _failed(exc: Exception, keyframe: Keyframe) -> SaccadeError:
    if isinstance(exc, SaccadeError):
        return exc
    log.error("Grounding failed on a keyframe of %s.", keyframe.frame.stream_id, exc_info=exc)
    return GroundingFailed(
        f"The model failed on a keyframe: {type(exc).__name__}.",
        remedy="It is asked again; if it fails again, see the log.",
    )


def _with_wait(answer: Answer, waited_s: float) -> Answer:
    return replace(answer, steps_s=replace(answer.steps_s, wait=waited_s))


class _Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "saccade_grounder_seconds",
            "Time the model worked on one batch of keyframes.",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.depth = Gauge(
            "saccade_grounder_queue_depth", "Keyframes that wait for the model.", registry=self.registry
        )
        self.keyframes = Counter(
            "saccade_keyframes", "Keyframes by outcome.", ["outcome"], registry=self.registry
        )
