"""What a stream publishes, read back from Redis while it runs, as any other consumer would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress

from pydantic import SecretStr

from streaming import wire
from streaming.errors import StoreUnavailable
from streaming.events import AnswerReport
from streaming.results.keys import Channel
from streaming.results.reader import ResultReader, Stored, Tail
from streaming.vocabulary import FrameResult, StreamId

Take = Callable[[FrameResult | AnswerReport], None]

_LAST_WORDS_S = 0.2
"What was published before the end is read within this."
_RETRY_S = 0.1


@asynccontextmanager
async def reading(redis_url: SecretStr, stream_id: StreamId, take: Take) -> AsyncIterator[None]:
    """Hand everything published from now on to `take`, until the block ends and a moment longer.

    Raises StoreUnavailable where Redis is away at the beginning; later it is waited for.
    """
    reader = ResultReader(redis_url)
    tail = reader.tail(stream_id, [Channel.FRAMES, Channel.ANSWERS])
    try:
        # From its first read on a tail misses nothing.
        _hand_over(await tail.read(), take)
        async with _running(_read_on(tail, take)):
            yield
            await asyncio.sleep(_LAST_WORDS_S)
    finally:
        await reader.close()


@asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _read_on(tail: Tail, take: Take) -> None:
    while True:
        try:
            _hand_over(await tail.read(), take)
        except StoreUnavailable:
            await asyncio.sleep(_RETRY_S)


def _hand_over(entries: Sequence[Stored], take: Take) -> None:
    for entry in entries:
        if entry.channel is Channel.FRAMES:
            take(wire.decode(FrameResult, entry.data))
        else:
            take(wire.decode(AnswerReport, entry.data))


class Watching:
    """Keeps what a stream publishes and lets others wait for it; lasts for one measurement."""

    def __init__(self) -> None:
        self.results: list[FrameResult] = []
        self.read_s: list[float] = []
        "When each of the results was read, Unix time."
        self.answers: list[AnswerReport] = []
        self._changed = asyncio.Event()

    def take(self, said: FrameResult | AnswerReport) -> None:
        """For `reading`."""
        if isinstance(said, FrameResult):
            self.results.append(said)
            self.read_s.append(time.time())
        else:
            self.answers.append(said)
        self._changed.set()

    async def first(
        self, holds: Callable[[FrameResult], bool], since: int, timeout_s: float
    ) -> FrameResult | None:
        """The first of `results[since:]` of which it holds, waited for; None if none comes in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    for result in self.results[since:]:
                        since += 1
                        if holds(result):
                            return result
                    self._changed.clear()
                    await self._changed.wait()
        return None
