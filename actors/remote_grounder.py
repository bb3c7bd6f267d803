"""The way from a worker to the grounder's process."""

from __future__ import annotations

from dataclasses import dataclass

from actors.grounder import Grounded
from actors.ray_edge import CannotStart, PartDied, call, find_actor
from streaming.vocabulary import Keyframe

_PULSE_TIMEOUT_S = 1.0
"""A question sent while Ray restarts the grounder may wait though it is back, until it is given up after
seconds: killed grounder to first answer, 11 to 14 s without this look (two runs), 5 to 12 s with it (four).
One at work answers this in milliseconds."""
_ASK_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class RemoteGrounder:
    """Asks the grounder of that name."""

    name: str
    "A name rather than a handle: a restarted worker is made again from its arguments, whenever that is."

    async def __call__(self, keyframe: Keyframe) -> Grounded:
        """Raises ServiceUnavailable if the grounder is dead, hangs or fails."""
        grounder = find_actor(self.name)
        try:
            await call(grounder.alive.remote(), _PULSE_TIMEOUT_S)
        except (PartDied, CannotStart):
            find_actor.cache_clear()  # another may be made under the same name
            raise
        grounded: Grounded = await call(grounder.ground.remote(keyframe), _ASK_TIMEOUT_S)
        return grounded
