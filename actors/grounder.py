"""The grounder's process: one model, one bounded queue, all streams. Ray is applied in supervisor.py.

Who is served when is decided in keyframe_queue.py. The model works in a thread of its own, on keyframes of
several streams at a time where only masks are wanted. A grounding that fails or takes longer than its budget
is an error for those who asked; the next is served as soon as the model is free. One that is not free again
within as much time once more hangs, and the process says so when its pulse is felt.
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

from actors.keyframe_queue import (
    KeyframeQueue,
    Superseded,
    Taken,
    Ticket,
    by_stream,
    looks,
    most_together,
    wants_words,
)
from actors.partial_answers import PartialAnswers, PartialAnswer
from engines.protocols import SharedGrounder
from streaming.errors import GroundingFailed, GroundingTimedOut, SaccadeError
from streaming.vocabulary import Answer, Keyframe, Query, QueryId

log = logging.getLogger(__name__)

QUEUE_CAPACITY: Final = 32
"Two waiting keyframes for each of the 16 streams a service takes by default."
BUDGET_S: Final = 30.0
_AFTER_S: Final = 1.0
"How often a model that has overrun its budget is looked after."

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True, eq=False)
class Grounded:
    """What became of one keyframe: an answer for each query, or the word that a newer one took its place."""

    answers: tuple[Answer, ...] = ()
    superseded: tuple[QueryId, ...] = ()


class GrounderActor:
    """Answers keyframes, whoever waited longest first.

    `load` builds the model in this process; `budget_s` is what one grounding may take, its wait not included.
    Must be made and used in one event loop.
    """

    def __init__(self, load: Callable[[], SharedGrounder], budget_s: float = BUDGET_S) -> None:
        self._grounder = load()
        self._budget_s = budget_s
        self._queue = KeyframeQueue(QUEUE_CAPACITY)
        self._promises: dict[Ticket, asyncio.Future[Grounded]] = {}
        self._superseded: dict[Ticket, tuple[QueryId, ...]] = {}
        self._mouths: dict[Ticket, PartialAnswers] = {}
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ground")
        self._loop_task: asyncio.Task[None] | None = None
        self._overdue_since_s: float | None = None
        "When the model overran its budget; None: it did not."
        self._look_s = 1.0
        "What a picture that masks were wanted on took last: served alone until that is known."
        self._metrics = _Metrics()

    async def ground(self, keyframe: Keyframe) -> Grounded:
        """Queue a keyframe and wait for its answers.

        Raises GroundingFailed, GroundingTimedOut, and what the model says of the query (InvalidQuery).
        Cancelling leaves the keyframe in the queue; its answer is dropped.
        """
        return await self._enter(keyframe)[1]

    async def say(self, keyframe: Keyframe) -> AsyncIterator[PartialAnswer | Grounded]:
        """The same, and before it the words of `ask` and `describe` as they come: who reads slowly misses
        some, never the newest.
        """
        ticket, promise = self._enter(keyframe)
        mouth = self._mouths[ticket] = PartialAnswers()
        promise.add_done_callback(lambda _: mouth.close())
        try:
            async for said in mouth:
                yield said
        finally:
            self._mouths.pop(ticket, None)
        yield await promise

    async def alive(self) -> int:
        """The process id: proof of life for the supervisor. GroundingTimedOut where the model hangs."""
        since_s = self._overdue_since_s
        if since_s is not None and asyncio.get_running_loop().time() - since_s > self._budget_s:
            raise GroundingTimedOut(
                f"The model hangs: it works on one look for more than {2 * self._budget_s:g} s.",
                remedy="It is started again. If that happens often, raise grounding_budget_s.",
            )
        return os.getpid()

    async def metrics(self) -> list[Metric]:
        """Samples of this process, to be merged by the gateway."""
        return list(self._metrics.registry.collect())

    def _enter(self, keyframe: Keyframe) -> tuple[Ticket, asyncio.Future[Grounded]]:
        loop = asyncio.get_running_loop()
        if self._loop_task is None:
            self._loop_task = asyncio.create_task(self._serve())
        ticket, pushed_out = self._queue.put(keyframe, loop.time())
        promise: asyncio.Future[Grounded] = loop.create_future()
        self._promises[ticket] = promise
        for gone in pushed_out:
            self._give_up(gone)
        self._metrics.depth.set(len(self._queue))
        self._arrived.set()
        return ticket, promise

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while (ready_s := self._queue.ready_s()) is not None:
                await asyncio.sleep(ready_s - loop.time())
                taken = self._queue.take(loop.time(), most_together(self._look_s))
                self._metrics.depth.set(len(self._queue))
                if taken:
                    await self._answer(taken)

    async def _answer(self, taken: list[Taken]) -> None:
        """Have keyframes answered; returns when the model is free again."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        work = loop.run_in_executor(self._thread, self._work, taken, loop)
        await asyncio.wait({work}, timeout=self._budget_s)
        if not work.done():
            await self._outlast(work, taken)
            return
        try:
            found = work.result()
        except Exception as exc:  # the askers hear it, the queue lives on
            if len(taken) > 1:
                # One of them may be to blame: each stream alone, then each of its questions: it fails alone.
                groups = by_stream(taken)
                for some in groups if len(groups) > 1 else ([one] for one in taken):
                    await self._answer(some)
            else:
                self._fail([taken[0].ticket], _failed(exc, taken[0].keyframe))
            return
        if not wants_words(taken[0].keyframe):
            self._look_s = (loop.time() - started_s) / len(by_stream(taken))
        self._metrics.seconds.observe(loop.time() - started_s)
        for one, answers in zip(taken, found, strict=True):
            self._metrics.keyframes.labels(outcome="answered").inc()
            waited = (_with_wait(answer, one.waited_s) for answer in answers)
            self._fulfil(one.ticket, Grounded(tuple(waited), self._superseded.pop(one.ticket, ())))

    def _work(self, taken: list[Taken], loop: asyncio.AbstractEventLoop) -> list[list[Answer]]:
        """In the model's thread."""
        keyframes = [one.keyframe for one in taken]
        if not wants_words(keyframes[0]):
            return self._look(keyframes)
        ticket, deadline_s = taken[0].ticket, time.monotonic() + self._budget_s

        def hear(query: Query, text: str) -> None:
            if time.monotonic() > deadline_s:
                raise self._overrun()
            loop.call_soon_threadsafe(self._tell, ticket, PartialAnswer(query.query_id, query.revision, text))

        return [self._grounder.say(keyframes[0], hear)]

    def _look(self, keyframes: list[Keyframe]) -> list[list[Answer]]:
        """Masks for each, from one look at every stream."""
        shown = looks(keyframes)
        answers = {
            (keyframe.frame.stream_id, query.query_id): answer
            for keyframe, found in zip(shown, self._grounder.ground_together(shown), strict=True)
            for query, answer in zip(keyframe.queries, found, strict=True)
        }
        return [
            [answers[keyframe.frame.stream_id, query.query_id] for query in keyframe.queries]
            for keyframe in keyframes
        ]

    def _tell(self, ticket: Ticket, said: PartialAnswer) -> None:
        mouth = self._mouths.get(ticket)
        if mouth is not None:
            mouth.say(said, asyncio.get_running_loop().time())

    async def _outlast(self, work: asyncio.Future[list[list[Answer]]], taken: list[Taken]) -> None:
        """Tell askers that their time is up, and wait for the model: it cannot be interrupted."""
        self._fail([one.ticket for one in taken], self._overrun())
        self._overdue_since_s = asyncio.get_running_loop().time()
        while not work.done():
            await asyncio.wait({work}, timeout=_AFTER_S)
            for gone in self._queue.give_up(asyncio.get_running_loop().time() - self._budget_s):
                self._fail([gone.ticket], self._overrun())
        self._overdue_since_s = None
        if not work.cancelled() and (exc := work.exception()) is not None:
            log.warning("A grounding failed after its time was up: %s.", type(exc).__name__)

    def _overrun(self) -> GroundingTimedOut:
        return GroundingTimedOut(
            f"The model did not answer within {self._budget_s:g} s.",
            remedy="Ask less at a time, take a smaller model, or raise grounding_budget_s.",
        )

    def _give_up(self, gone: Superseded) -> None:
        """Note superseded queries; when nothing of the keyframe is left to answer, say so at once."""
        lost = self._superseded.pop(gone.ticket, ()) + gone.query_ids
        self._metrics.keyframes.labels(outcome="superseded").inc()
        if self._queue.waits(gone.ticket):
            self._superseded[gone.ticket] = lost
        else:
            self._fulfil(gone.ticket, Grounded(superseded=lost))

    def _fulfil(self, ticket: Ticket, grounded: Grounded) -> None:
        promise = self._promises.pop(ticket)
        if not promise.done():
            promise.set_result(grounded)

    def _fail(self, tickets: Sequence[Ticket], exc: SaccadeError) -> None:
        for ticket in tickets:
            self._metrics.keyframes.labels(outcome="failed").inc()
            self._superseded.pop(ticket, None)
            promise = self._promises.pop(ticket)
            if not promise.done():
                promise.set_exception(exc)
                # Who asked may have left; then nobody hears it, and asyncio need not say so.
                promise.exception()


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
            "Time the model worked on keyframes that it took together.",
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.depth = Gauge(
            "saccade_grounder_queue_depth", "Keyframes that wait for the model.", registry=self.registry
        )
        self.keyframes = Counter(
            "saccade_keyframes", "Keyframes by what became of them.", ["outcome"], registry=self.registry
        )
