"""Words on their way out while they are still being said: the newest wins, and not too many of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from streaming.vocabulary import QueryId

EVERY_S: Final = 0.1
"Between two texts of one answer, which hold it from its beginning: reading is slower."


@dataclass(frozen=True, slots=True)
class PartialAnswer:
    """An answer so far."""

    query_id: QueryId
    revision: int
    text: str


OnPartial = Callable[[PartialAnswer], None]
"Is told the words of an answer as they come."


class PartialAnswers:
    """One answer's place: one says, one hears. Lives in one event loop."""

    def __init__(self) -> None:
        self._newest: PartialAnswer | None = None
        self._changed = asyncio.Event()
        self._closed = False
        self._last_s = -EVERY_S

    def say(self, said: PartialAnswer, now_s: float) -> None:
        """Put words in the place of what was not heard yet; soon after others they are not said at all."""
        if now_s - self._last_s < EVERY_S:
            return
        self._last_s, self._newest = now_s, said
        self._changed.set()

    def close(self) -> None:
        """The answer is whole: what was not heard yet is part of it."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[PartialAnswer]:
        """Words until the answer is whole."""
        while not self._closed:
            await self._changed.wait()
            self._changed.clear()
            if self._newest is not None and not self._closed:
                newest, self._newest = self._newest, None
                yield newest
