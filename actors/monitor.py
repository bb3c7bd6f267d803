"""Watches one actor, worker or grounder, and its tracking threads: kills what hangs, makes again what cannot
start. The rules are in `actor_health.py`; this module asks, waits and acts.

An actor that died or was killed is replaced at once: by its spare, whose place a new one takes later, or by
one that is made now. Ray itself restarts nothing: calls to an actor that Ray restarts wait for seconds before
they fail, though its death is known.
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
from actors.process_exit import ExitWatch
from actors.ray_runtime import ActorDied, CannotStart, call
from streaming.errors import GroundingTimedOut, SaccadeError
from streaming.vocabulary import StreamId

log = logging.getLogger(__name__)

_KILLED_S = 0.2
"For a killed process to end, before another one has its streams: both would publish."
_NAME_S, _NAME_TRIES = 0.1, 50
"Between attempts to make an actor while Ray still has the dead one's name, and how many."


class RayActor:
    """One actor of Ray with a method `heartbeat() -> Heartbeat`, made by `make`, which returns its handle."""

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        self.name = name
        self.handle: Any = None
        self._make = make

    def make(self) -> None:
        """Start the actor; its constructor may still be running.

        Raises ValueError while another of its name exists.
        """
        self.handle = self._make()

    def kill(self) -> None:
        """Kill its process."""
        ray.kill(self.handle)

    def exchange(self, spare: RayActor) -> None:
        """Exchange the processes of two actors, and what makes them: they may have names."""
        self.handle, spare.handle = spare.handle, self.handle
        self._make, spare._make = spare._make, self._make

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
        self.spare: ActorMonitor[RayActor] | None = None
        "The monitor of an actor that can replace this one; several monitors may share it."
        self._times = times or MonitorTimes()
        self._changed = asyncio.Event()
        self._round_ended = asyncio.Condition()
        self._begun = 0
        self._has_exited = False
        self._is_exchanged = False
        "Its process belonged to the actor that it has replaced."
        self._exit_watch = ExitWatch(self._on_exit)
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
        self._exit_watch.close()
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
        if self._is_exchanged:
            self._is_exchanged = self._has_exited = False
            await asyncio.sleep(self._times.spare_s)
            await self._make_again()
        if self._has_exited:
            self._has_exited = False
            death = ActorDied(f"{self.actor.name} died.")
            await self._act(self._health.on_death(time.monotonic()), death)
        try:
            beat = await self.actor.heartbeat(self._health.timeout_s)
        except SaccadeError as exc:
            if not self._is_exchanged:
                await self._act(self._observed(exc), exc)
            return False
        if self._is_exchanged:  # meanwhile: the heartbeat is of a process that another actor has now
            return False
        self._exit_watch.follow(beat.pid, beat.namespace)
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
                await asyncio.sleep(_KILLED_S)
                await self._replace()
            case Action.REPLACE:
                # Killed in any case: a process that cannot be reached would go on with its streams.
                self.actor.kill()
                await self._replace()
            case Action.REMAKE:
                delay_s = self._times.remake_s
                log.error(
                    "%s cannot start again; it is made again in %g s: %s", self.actor.name, delay_s, why
                )
                await asyncio.sleep(delay_s)
                await self._make_again()
            case Action.GIVE_UP:
                raise why
            case Action.NOTHING:
                pass

    def _on_exit(self) -> None:
        self._has_exited = True
        self._changed.set()

    async def _replace(self) -> None:
        """Have the spare take over if there is one that is alive; else make the actor again."""
        self._exit_watch.close()
        self._has_exited = False
        spare = self.spare
        if spare is None or spare.problem:
            await self._make_again()
            return
        log.warning("%s is replaced by its spare.", self.actor.name)
        self.actor.exchange(spare.actor)
        spare.on_exchanged()
        self._changed.set()  # the next round begins at once

    def on_exchanged(self) -> None:
        """Take in that the actor's process is a dead one now: make another, but not at once."""
        self._exit_watch.close()
        self._is_exchanged = True
        self._health.on_death(time.monotonic())
        self._changed.set()

    async def _make_again(self) -> None:
        """Make the actor. Raises ValueError if Ray does not release its name."""
        for _ in range(_NAME_TRIES):
            with suppress(ValueError):
                self.actor.make()
                return
            await asyncio.sleep(_NAME_S)
        self.actor.make()
