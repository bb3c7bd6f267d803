"""Watches one actor, worker or grounder, and its tracking threads: kills what hangs, makes again what cannot
start. The rules are in `actor_health.py`; this module asks, waits and acts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Generic, TypeVar

import ray

from actors.actor_health import Action, ActorHealth, MonitorTimes
from actors.heartbeat import Heartbeat
from actors.ray_runtime import ActorDied, CannotStart, call
from streaming.errors import GroundingTimedOut, SaccadeError
from streaming.vocabulary import StreamId

log = logging.getLogger(__name__)


class RayActor:
    """One actor of Ray with a method `heartbeat() -> Heartbeat`, made by `make`, which returns its handle."""

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self.name = name
        self.handle: Any = None
        self._make = make

    def make(self) -> None:
        """Start the actor; its constructor may still be running."""
        self.handle = self._make()

    def kill(self) -> None:
        """Kill its process; Ray restarts it under the same handle."""
        ray.kill(self.handle, no_restart=False)

    async def heartbeat(self, timeout_s: float) -> Heartbeat:
        """Ask whether it is alive. Raises CannotStart, ActorDied, ServiceUnavailable; GroundingTimedOut if it
        hangs.
        """
        beat: Heartbeat = await call(self.handle.heartbeat.remote(), timeout_s)
        return beat

    async def update(self, timeout_s: float) -> None:
        """Bring it up to date after a heartbeat. Raises SaccadeError. A plain actor has nothing to update."""

    async def report_hung_steps(self, hung_s: Mapping[StreamId, float]) -> None:
        """Tell the users of these streams that tracking hangs, before the actor is killed."""


A_co = TypeVar("A_co", bound=RayActor, covariant=True)


class ActorMonitor(Generic[A_co]):
    """Makes an actor and watches it from then on. One asyncio loop owns a monitor."""

    def __init__(self, actor: A_co, times: MonitorTimes | None = None) -> None:
        self.actor = actor
        self._times = times or MonitorTimes()
        self._changed = asyncio.Event()
        self._round_ended = asyncio.Condition()
        self._begun = 0
        self._updated = 0
        "Number of the last round that brought the actor up to date."
        actor.make()
        self._health = ActorHealth(self._times, time.monotonic())
        self._task = asyncio.create_task(self._run(), name=f"monitor-{actor.name}")

    @property
    def problem(self) -> str:
        """Why the actor is not well; empty while it is."""
        return self._health.problem

    @property
    def restarts(self) -> int:
        """How often the actor was restarted."""
        return self._health.restarts

    async def refresh(self, timeout_s: float) -> None:
        """Bring the actor up to date now; return when that is done, or after `timeout_s` (it is done
        later)."""
        target = self._begun + 1
        self._changed.set()
        async with self._round_ended:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._round_ended.wait_for(lambda: self._updated >= target)
            except TimeoutError:
                log.warning("%s did not take in a change within %g s.", self.actor.name, timeout_s)

    def check(self) -> None:
        """Raise CannotStart if the actor could not be made in the first place."""
        if self._task.done():
            self._task.result()

    async def close(self) -> None:
        """Stop watching; the actor itself is left as it is."""
        self._task.cancel()
        # Bounded: cancelling a call to a process that is just dying may take long.
        await asyncio.wait([self._task], timeout=self._times.close_timeout_s)

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            self._begun += 1
            is_updated = False
            try:
                is_updated = await self._round()
            except CannotStart:
                raise
            except Exception as exc:  # last resort: without its monitor an actor is never restarted
                log.error("Monitoring %s failed.", self.actor.name, exc_info=exc)
                self._health.on_failed_update(f"Monitoring failed: {type(exc).__name__}; see the log.")
            async with self._round_ended:
                self._updated = self._begun if is_updated else self._updated
                self._round_ended.notify_all()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._health.pause_s):
                    await self._changed.wait()

    async def _round(self) -> bool:
        """Get a heartbeat and update the actor; return whether it is up to date. Raises as `_act`."""
        try:
            beat = await self.actor.heartbeat(self._health.timeout_s)
        except SaccadeError as exc:
            await self._act(self._observed(exc), exc)
            return False
        restarts = self._health.restarts
        action = self._health.on_heartbeat(beat.pid, beat.steps, time.monotonic())
        if self._health.restarts > restarts:
            log.warning("%s was restarted.", self.actor.name)
        if action is not Action.NOTHING:
            await self.actor.report_hung_steps(self._health.hung_s)
            await self._act(action, SaccadeError(self._health.problem))
        if not self._health.is_alive:
            return False
        try:
            await self.actor.update(self._times.update_timeout_s)
        except SaccadeError as exc:
            self._health.on_failed_update(str(exc))
            return False
        self._health.on_updated()
        return True

    def _observed(self, exc: SaccadeError) -> Action:
        now_s = time.monotonic()
        match exc:
            case CannotStart():
                return self._health.on_failed_start(str(exc), now_s)
            case ActorDied():
                return self._health.on_death(now_s)
            case GroundingTimedOut():
                return self._health.on_hang(str(exc), now_s)
            case _:
                return self._health.on_silence(str(exc), now_s)

    async def _act(self, action: Action, why: SaccadeError) -> None:
        """Do what the rules say. Raises `why` where the actor could not be made in the first place."""
        match action:
            case Action.KILL:
                log.error("%s is killed and restarted: %s", self.actor.name, why)
                self.actor.kill()
            case Action.REMAKE:
                delay_s = self._times.remake_s
                log.error(
                    "%s cannot start again; it is made again in %g s: %s", self.actor.name, delay_s, why
                )
                await asyncio.sleep(delay_s)
                self.actor.make()
            case Action.GIVE_UP:
                raise why
            case Action.NOTHING:
                pass
