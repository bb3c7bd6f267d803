"""Keeps one worker process doing what is wanted of it, through deaths and hangs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ray

from actors.ray_runtime import CannotStart, PartDied, call
from actors.worker import Desired
from streaming.errors import SaccadeError, ServiceUnavailable
from streaming.status import StreamStatus
from streaming.vocabulary import StreamId

log = logging.getLogger(__name__)

ROUND_S = 0.5
"Between two looks at a worker: a death is noticed within this and the call's own answer."
_HEARTBEAT_TIMEOUT_S = 2.0
_SOON_S = 0.1
_SHORT_TIMEOUT_S = 0.3
"""Between looks, and for an answer, in the first moments of a silence. A call that is sent while Ray
restarts a process takes up to 1.9 s to fail though the process is back before that; asked anew it answers at
once: results are back about 0.7 s sooner than with two seconds' patience."""
_HOST_TIMEOUT_S = 30.0
"Hosting waits for sources that end; the slowest is a connect that hangs, 5 s each."
_START_TIMEOUT_S = 180.0
"Loading and compiling a model for the first time."
_ANEW_S = 5.0
_CLOSE_S = 3.0
_HANG_S = 10.0
"A worker that answered once and whose pulse is gone for so long is killed and started again."


class Keeper:
    """Tells one worker what to host, twice a second and at every change, and remembers what it said.

    `make` makes the worker's actor; `desired` returns what it shall host now. One asyncio loop owns a keeper.
    """

    def __init__(self, name: str, make: Callable[[], Any], desired: Callable[[], Desired]) -> None:
        self.name = name
        self.handle = make()
        self.restarts = 0
        self._make = make
        self._desired = desired
        self._statuses: dict[StreamId, StreamStatus] = {}
        self._pid: int | None = None
        self._is_up = False
        self._silent_since_s: float | None = time.monotonic()
        "None while its pulse is felt."
        self._problem = "It is starting."
        self._changed = asyncio.Event()
        self._round = asyncio.Condition()
        self._begun = 0
        self._done = 0
        self._task = asyncio.create_task(self._run(), name=f"keeper-{name}")

    @property
    def problem(self) -> str:
        """Why the worker is not well; empty while it is."""
        return self._problem

    def status(self, stream_id: StreamId) -> StreamStatus | None:
        """What the worker last said of a stream; None while it is not well or does not host it."""
        return None if self._problem else self._statuses.get(stream_id)

    async def push(self, timeout_s: float) -> None:
        """Tell the worker at once; returns when it was told, or after `timeout_s` (it is told later)."""
        target = self._begun + 1
        self._changed.set()
        async with self._round:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._round.wait_for(lambda: self._done >= target)
            except TimeoutError:
                log.warning("%s was not told within %g s of what changed.", self.name, timeout_s)

    def check(self) -> None:
        """Raise CannotStart if the worker could not be made in the first place."""
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        """Stop keeping; the worker itself is left as it is."""
        self._task.cancel()
        # Bounded: a call to a process that is just dying may take its time to let go.
        await asyncio.wait([self._task], timeout=_CLOSE_S)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            self._begun += 1
            told = False
            try:
                told = await self._look()
            except CannotStart:
                raise
            except Exception as exc:  # the rim of the task: a worker without a keeper is never restarted
                log.error("Looking after %s failed.", self.name, exc_info=exc)
                self._problem = f"Looking after it failed: {type(exc).__name__}; see the log."
            async with self._round:
                self._done = self._begun if told else self._done
                self._round.notify_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(_SOON_S if self._just_fell_silent else ROUND_S):
                    await self._changed.wait()

    @property
    def _silent_s(self) -> float:
        return 0.0 if self._silent_since_s is None else time.monotonic() - self._silent_since_s

    @property
    def _just_fell_silent(self) -> bool:
        return 0.0 < self._silent_s < _HEARTBEAT_TIMEOUT_S

    async def _look(self) -> bool:
        """Feel its pulse, then tell it what to host; whether it was told. Raises as `_make_anew`."""
        patience_s = _SHORT_TIMEOUT_S if self._silent_s < _HEARTBEAT_TIMEOUT_S else _HEARTBEAT_TIMEOUT_S
        try:
            pid: int = await call(self.handle.pid.remote(), patience_s)
        except CannotStart as exc:
            await self._make_anew(exc)
            return False
        except ServiceUnavailable as exc:
            self._note_silence(exc)
            return False
        self._note_pulse(pid)
        try:
            await call(self.handle.host.remote(self._desired()), _HOST_TIMEOUT_S)
            statuses: list[StreamStatus] = await call(self.handle.statuses.remote(), _HEARTBEAT_TIMEOUT_S)
        except SaccadeError as exc:
            # Slow or failing hosting is no death: only the pulse decides that.
            self._problem = str(exc)
            return False
        self._statuses = {status.stream_id: status for status in statuses}
        self._problem = ""
        return True

    def _note_pulse(self, pid: int) -> None:
        if self._pid not in (None, pid):
            self.restarts += 1
            log.warning("%s was restarted; its streams resume.", self.name)
        self._pid, self._is_up, self._silent_since_s = pid, True, None

    async def _make_anew(self, why: CannotStart) -> None:
        """Ray gives up a process that fails while it is made, though a full disk may be empty a minute later.

        Raises `why` where there never was one: then there is something to mend first.
        """
        self._problem = str(why)
        if self._pid is None:
            raise why
        log.error("%s cannot start again, and is tried anew in %g s: %s", self.name, _ANEW_S, why)
        await asyncio.sleep(_ANEW_S)
        self.handle = self._make()
        self._is_up, self._silent_since_s = False, time.monotonic()

    def _note_silence(self, why: ServiceUnavailable) -> None:
        if isinstance(why, PartDied):
            self._is_up = False
        if self._silent_since_s is None:
            self._silent_since_s = time.monotonic()
        if not self._is_up:
            self._problem = "It is starting."
        elif not self._just_fell_silent:
            # Not at once: a worker that is busy for a moment is well.
            self._problem = str(why)
        if self._silent_s > (_HANG_S if self._is_up else _START_TIMEOUT_S):
            log.error("%s is silent for %.0f s; it is killed and started again.", self.name, self._silent_s)
            ray.kill(self.handle, no_restart=False)
            self._is_up, self._silent_since_s = False, time.monotonic()
