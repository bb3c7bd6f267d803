"""One worker as the supervisor sees it: its handle, its last heartbeat, and its part of the desired state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from actors.desired_state import DesiredState
from actors.heartbeat import Heartbeat
from actors.monitor import RayActor
from actors.ray_runtime import call
from streaming.errors import SaccadeError
from streaming.status import StreamStatus
from streaming.vocabulary import StreamId

_REPORT_TIMEOUT_S: Final = 1.0
"For a worker to publish the errors of its hung streams before it is killed."


class WorkerClient(RayActor):
    """Sends a worker what changed since the version that its last heartbeat reported."""

    def __init__(self, name: str, number: int, make: Callable[[], Any], desired: DesiredState) -> None:
        """`number`: the worker's number in `desired`."""
        super().__init__(name, make)
        self._number = number
        self._desired = desired
        self._version = 0
        self._statuses: dict[StreamId, StreamStatus] = {}

    def status(self, stream_id: StreamId) -> StreamStatus | None:
        """Return the status of a stream in the last heartbeat; None if the worker did not host it."""
        return self._statuses.get(stream_id)

    async def heartbeat(self, timeout_s: float) -> Heartbeat:
        """See `RayActor.heartbeat`."""
        beat = await super().heartbeat(timeout_s)
        self._store(beat)
        return beat

    async def update(self, timeout_s: float) -> None:
        """Apply deltas until the worker hosts the newest version; nothing is sent if it already does.

        Raises SaccadeError. A worker that was restarted meanwhile reports version 0 and gets the whole
        state.
        """
        while (delta := self._desired.delta(self._number, self._version)) is not None:
            beat: Heartbeat = await call(self.handle.apply.remote(delta), timeout_s)
            self._store(beat)

    async def report_hung_steps(self, hung_s: Mapping[StreamId, float]) -> None:
        """Have the worker publish an error for each stream; nothing if it cannot within a second."""
        with suppress(SaccadeError):
            await call(self.handle.report_hung_steps.remote(hung_s), _REPORT_TIMEOUT_S)

    def _store(self, beat: Heartbeat) -> None:
        self._version = beat.version
        self._statuses = {status.stream_id: status for status in beat.statuses}
