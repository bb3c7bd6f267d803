"""Partial answers of a text that is being generated, from the grounder to the worker: newest wins,
bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from streaming.vocabulary import QueryId

EVERY_S: Final = 0.1
"Least time between two partial answers; each has the text from its beginning, and reading is slower."


@dataclass(frozen=True, slots=True)
class PartialAnswer:
    """The text generated so far."""

    query_id: QueryId
    revision: int
    text: str


OnPartial = Callable[[PartialAnswer], None]
"Takes the partial answers of a text while it is generated."


class PartialAnswers:
    """A one-place channel of one answer's partial texts. One event loop puts and iterates."""

    def __init__(self) -> None:
        self._newest: PartialAnswer | None = None
        self._changed = asyncio.Event()
        self._closed = False
        self._last_s = -EVERY_S

    def put(self, partial: PartialAnswer, now_s: float) -> None:
        """Replace the unread partial answer; dropped within `EVERY_S` of the one before."""
        if now_s - self._last_s < EVERY_S:
            return
        self._last_s, self._newest = now_s, partial
        self._changed.set()

    def close(self) -> None:
        """End the iteration: the answer is complete, an unread partial answer is dropped."""
        self._closed = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[PartialAnswer]:
        """Yield partial answers until `close`."""
        while not self._closed:
            await self._changed.wait()
            self._changed.clear()
            if self._newest is not None and not self._closed:
                newest, self._newest = self._newest, None
                yield newest
