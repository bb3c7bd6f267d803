"""The way from a worker to the grounder's process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from actors.grounder import BUDGET_S, Grounded
from actors.keyframe_queue import wants_words
from actors.partial_answers import OnPartial
from actors.ray_runtime import CannotStart, PartDied, call, find_actor, stream
from streaming.errors import ServiceUnavailable
from streaming.vocabulary import Keyframe

_PULSE_TIMEOUT_S = 1.0
"""A question sent while Ray restarts the grounder may wait though it is back, until it is given up after
seconds: killed grounder to first answer, 11 to 14 s without this look (two runs), 5 to 12 s with it (four).
One at work answers this in milliseconds ..."""
_PULSES = 5
"""... but on a machine that others keep busy one that loads and first uses 2.4 GB of weights was silent for
more than a second."""


@dataclass(frozen=True, slots=True)
class GrounderClient:
    """Asks the grounder of that name."""

    name: str
    "A name rather than a handle: a restarted worker is made again from its arguments, whenever that is."
    patience_s: float = 2 * BUDGET_S
    "How long it may be silent: the time it waits at most, and the time it may take."

    async def __call__(self, keyframe: Keyframe, overhear: OnPartial) -> Grounded:
        """Raises GroundingFailed, GroundingTimedOut, InvalidQuery; ServiceUnavailable if the grounder is dead
        or hangs.
        """
        grounder = await self._alive()
        if not wants_words(keyframe):
            grounded: Grounded = await call(grounder.ground.remote(keyframe), self.patience_s)
            return grounded
        async for said in stream(grounder.say.remote(keyframe), self.patience_s):
            if isinstance(said, Grounded):
                return said
            overhear(said)
        raise ServiceUnavailable("The grounder ended in the middle of an answer.")

    async def _alive(self) -> Any:
        """The grounder, when it has answered. Raises ServiceUnavailable, GroundingTimedOut if it hangs."""
        grounder, silences = find_actor(self.name), 0
        while True:
            try:
                await call(grounder.alive.remote(), _PULSE_TIMEOUT_S)
            except (PartDied, CannotStart):
                find_actor.cache_clear()  # another may be made under the same name
                raise
            except ServiceUnavailable:
                silences += 1
                if silences == _PULSES:
                    raise
            else:
                return grounder
