"""Fixtures for sources and WebRTC: what a source delivered, and peers."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from streaming.sources.base import SourceStatus
from streaming.vocabulary import Frame, SourceState
from tests.peers import Peer


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    yield peer
    await peer.connection.close()


@pytest.fixture
async def other_peer() -> AsyncIterator[Peer]:
    peer = Peer()
    yield peer
    await peer.connection.close()


class Seen:
    """What a source delivered and reported, to be waited for."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.statuses: list[SourceStatus] = []
        self._changed = threading.Condition()

    def deliver(self, frame: Frame) -> None:
        with self._changed:
            self.frames.append(frame)
            self._changed.notify_all()

    def report(self, status: SourceStatus) -> None:
        with self._changed:
            self.statuses.append(status)
            self._changed.notify_all()

    @property
    def states(self) -> list[SourceState]:
        return [status.state for status in self.statuses]

    def wait(self, condition: Callable[[Seen], bool], timeout_s: float = 15.0) -> None:
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            while not condition(self):
                left_s = deadline_s - time.monotonic()
                assert left_s > 0, f"it did not happen: {len(self.frames)} frames, {self.statuses[-3:]}"
                self._changed.wait(min(left_s, 0.5))

    def wait_frames(self, more: int) -> None:
        wanted = len(self.frames) + more
        self.wait(lambda seen: len(seen.frames) >= wanted)


@pytest.fixture
def seen() -> Seen:
    return Seen()
