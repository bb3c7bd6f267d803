"""Sends keyframes from a worker to the grounder actor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors.grounder import BUDGET_S, Grounded
from actors.keyframe_queue import needs_text
from actors.partial_answers import OnPartial
from actors.ray_runtime import ActorDied, CannotStart, call, find_actor, iterate
from streaming.errors import ServiceUnavailable
from streaming.vocabulary import Keyframe

_HEARTBEAT_TIMEOUT_S = 1.0
"""A call sent while Ray restarts the grounder may wait, though the grounder is back, until it fails after
seconds: from kill to first answer 11 to 14 s without this heartbeat (two runs), 5 to 12 s with it (four). A
working grounder answers it in milliseconds ..."""
_HEARTBEATS = 5
"""... but on a busy machine a grounder that was loading and first using 2.4 GB of weights did not answer for
more than a second."""


@dataclass(frozen=True, slots=True)
class GrounderClient:
    """Calls the grounder of a name."""

    name: str
    "Not a handle: a restarted worker is created again from its arguments, at any time."
    timeout_s: float = 2 * BUDGET_S
    """Longest wait for an outcome or a partial answer: the longest wait in the queue and the longest
    grounding."""

    async def __call__(self, keyframe: Keyframe, on_partial: OnPartial) -> Grounded:
        """Return the outcome of a keyframe; call `on_partial` with partial answers of `ask` and `describe`.

        Raises GroundingFailed, GroundingTimedOut, InvalidQuery; ServiceUnavailable if the grounder is dead or
        hangs.
        """
        grounder = await self._alive()
        if not needs_text(keyframe):
            grounded: Grounded = await call(grounder.ground.remote(keyframe), self.timeout_s)
            return grounded
        async for item in iterate(grounder.generate.remote(keyframe), self.timeout_s):
            if isinstance(item, Grounded):
                return item
            on_partial(item)
        raise ServiceUnavailable("The grounder ended in the middle of an answer.")

    async def _alive(self) -> Any:
        """Return the grounder's handle once it has answered a heartbeat.

        Raises ServiceUnavailable, GroundingTimedOut if it hangs.
        """
        grounder, missing = find_actor(self.name), 0
        while True:
            try:
                await call(grounder.heartbeat.remote(), _HEARTBEAT_TIMEOUT_S)
            except (ActorDied, CannotStart):
                find_actor.cache_clear()  # another may be made under the same name
                raise
            except ServiceUnavailable:
                missing += 1
                if missing == _HEARTBEATS:
                    raise
            else:
                return grounder
