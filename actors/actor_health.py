"""How an actor is doing, and what its monitor does about it. Pure: observations and `now_s` in, actions out.

Theory of operation. The monitor asks for a heartbeat in rounds and reports what came of each. An actor is

- starting, until its first heartbeat since it was made, killed or died. After `start_timeout_s` it is killed.
- alive, while heartbeats come.
- silent, when one is missing. It is asked again quickly for `heartbeat_timeout_s`; from then on that is a
  problem; after `hang_s` it is hung.
- hung: silent for too long, or it reports so itself, or one of its tracking threads has been in one step for
  longer than `step_hang_s` and `step_hang_factor` times what is expected of that step. It is killed.
- dead: it is made again, or replaced by its spare; it is starting.

An actor that died before its first heartbeat, or whose constructor raised, is made again after `remake_s`. If
its constructor raised and it never was alive, that is an error to report to the user. A step of a kind that
was not completed yet has `start_timeout_s`: the first step with objects is the first that runs the model.

Silence is summed up from the rounds. A round that took longer than its own waits says that the monitor was
late (its event loop was starved), not that the actor was silent, so it counts as no longer than those waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from actors.heartbeat import StepTiming
from streaming.vocabulary import StreamId


@dataclass(frozen=True, slots=True)
class MonitorTimes:
    """The times of one monitor, seconds."""

    round_s: float = 0.5
    "Between two heartbeats: a death is noticed within this and the call's own error."
    heartbeat_timeout_s: float = 2.0
    "For one heartbeat, and from when on silence is reported as a problem."
    quick_round_s: float = 0.1
    quick_timeout_s: float = 0.3
    "Between heartbeats, and for one, in the first `heartbeat_timeout_s` of a silence."
    update_timeout_s: float = 30.0
    "For bringing an actor up to date. A worker waits for sources that end: a connect that hangs takes 5 s."
    start_timeout_s: float = 180.0
    "Loading and compiling a model for the first time."
    hang_s: float = 10.0
    "Silence after which an actor that was alive is killed."
    remake_s: float = 5.0
    "Before an actor that could not start is made again."
    spare_s: float = 5.0
    "Before the next spare is made: its imports would take the CPU from the one that has just taken over."
    step_hang_s: float = 4.0
    step_hang_factor: float = 10.0
    "A step is hung after the larger of `step_hang_s` and this many times its expected duration."
    kill_s: float = 2.0
    "For a killed process to end: heartbeats that still come from it meanwhile are ignored."
    close_timeout_s: float = 3.0
    "For the monitor's own task to end."


class Action(Enum):
    """What the monitor does after an observation."""

    NOTHING = auto()
    KILL = auto()
    "Kill the actor, and replace it at once."
    REPLACE = auto()
    "The actor is dead: replace it at once."
    REMAKE = auto()
    "The actor could not start: make it again after `remake_s`."
    GIVE_UP = auto()
    "Raise what kept the actor from being made."


class ActorHealth:
    """State of one actor. `now_s` is any monotonic clock."""

    def __init__(self, times: MonitorTimes, now_s: float) -> None:
        self._times = times
        self._problem = "It is starting."
        self._is_alive = False
        "False while it is starting."
        self._pid: int | None = None
        self._silent_s: float | None = 0.0
        "For how long heartbeats have been missing; None: the last one came."
        self._observed_s = now_s
        self._killed_pid: int | None = None
        self._killed_s = now_s
        self.restarts = 0
        self.hung_s: dict[StreamId, float] = {}
        "Streams whose tracking thread was hung at the last heartbeat, and for how long its step was running."

    @property
    def problem(self) -> str:
        """Why the actor is not well; empty while it is."""
        return self._problem

    @property
    def is_alive(self) -> bool:
        """Whether a heartbeat came since the actor was made, killed or died."""
        return self._is_alive

    @property
    def timeout_s(self) -> float:
        """Time-out of the next heartbeat."""
        is_long = self._silent_s is not None and self._silent_s >= self._times.heartbeat_timeout_s
        return self._times.heartbeat_timeout_s if is_long else self._times.quick_timeout_s

    @property
    def pause_s(self) -> float:
        """How long to wait before the next heartbeat."""
        return self._times.quick_round_s if self._is_newly_silent else self._times.round_s

    def on_heartbeat(self, pid: int, steps: Mapping[StreamId, StepTiming], now_s: float) -> Action:
        """The actor answered, with the timing of its tracking threads. `on_updated` or `on_failed_update`
        follow."""
        if pid == self._killed_pid and now_s - self._killed_s < self._times.kill_s:
            return Action.NOTHING
        self.restarts += self._pid not in (None, pid)
        self._pid, self._is_alive, self._silent_s, self._observed_s = pid, True, None, now_s
        self.hung_s = {key: timing.running_s for key, timing in steps.items() if self._is_hung(timing)}
        if self.hung_s:
            return self.on_hang(f"Tracking hangs on {', '.join(self.hung_s)}.", now_s)
        return Action.NOTHING

    def on_silence(self, why: str, now_s: float) -> Action:
        """No heartbeat came in time."""
        self._add_silence(now_s)
        if not self._is_alive:
            self._problem = "It is starting."
        elif not self._is_newly_silent:
            # Not at once: an actor may be busy for a moment.
            self._problem = why
        limit_s = self._times.hang_s if self._is_alive else self._times.start_timeout_s
        return self._killed(now_s) if self.silent_s > limit_s else Action.NOTHING

    def on_death(self, now_s: float) -> Action:
        """The actor's process is gone."""
        was_alive, self._is_alive = self._is_alive, False
        self._problem, self._silent_s, self._observed_s = "It is starting.", 0.0, now_s
        return Action.REPLACE if was_alive else Action.REMAKE

    def on_hang(self, why: str, now_s: float) -> Action:
        """The actor reported that it hangs."""
        self._problem = why
        return self._killed(now_s)

    def on_failed_start(self, why: str, now_s: float) -> Action:
        """The actor's constructor raised."""
        self._problem = why
        self._is_alive, self._silent_s, self._observed_s = False, 0.0, now_s
        return Action.GIVE_UP if self._pid is None else Action.REMAKE

    def on_updated(self) -> None:
        """The actor is alive and up to date: it has no problem."""
        self._problem = ""

    def on_failed_update(self, why: str) -> None:
        """The actor is alive, but could not be brought up to date: no reason to kill it."""
        self._problem = why

    @property
    def silent_s(self) -> float:
        """For how long heartbeats have been missing."""
        return self._silent_s or 0.0

    @property
    def _is_newly_silent(self) -> bool:
        return self._silent_s is not None and self._silent_s < self._times.heartbeat_timeout_s

    def _is_hung(self, timing: StepTiming) -> bool:
        if timing.expected_s is None:
            return timing.running_s > self._times.start_timeout_s
        limit_s = max(self._times.step_hang_s, self._times.step_hang_factor * timing.expected_s)
        return timing.running_s > limit_s

    def _add_silence(self, now_s: float) -> None:
        """Add the time since the last observation, as far as the monitor itself meant to wait."""
        if self._silent_s is None:
            self._silent_s = 0.0  # counted from the first missing heartbeat
        else:
            self._silent_s += min(now_s - self._observed_s, self.pause_s + self.timeout_s)
        self._observed_s = now_s

    def _killed(self, now_s: float) -> Action:
        self._killed_pid, self._killed_s = self._pid, now_s
        self._is_alive, self._silent_s, self._observed_s = False, 0.0, now_s
        return Action.KILL
