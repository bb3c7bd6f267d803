"""Sends keyframes from a worker to a grounder actor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.grounder import BUDGET_S, Grounded
from actors.keyframe_queue import needs_text
from actors.partial_answers import OnPartial
from actors.ray_runtime import ActorDied, CannotStart, call, find_actor, iterate
from streaming.errors import GroundingTimedOut, SaccadeError, ServiceUnavailable
from streaming.vocabulary import Keyframe

_HEARTBEAT_TIMEOUT_S = 1.0
"""A call sent while Ray restarts the grounder may wait, though the grounder is back, until it fails after
seconds: from kill to first answer 11 to 14 s without this heartbeat (two runs), 5 to 12 s with it (four). A
working grounder answers it in milliseconds ..."""
_HEARTBEATS = 5
"""... but on a busy machine a grounder that was loading and first using 2.4 GB of weights did not answer for
more than a second."""


class GrounderClient:
    """Calls the first of several grounders that answers, beginning with the one that answered last."""

    def __init__(self, names: Sequence[str], timeout_s: float = 2 * BUDGET_S) -> None:
        """`timeout_s`: longest wait for an outcome or a partial answer: the longest wait in the queue and the
        longest grounding.
        """
        # Not handles: a restarted worker is created again from its arguments, at any time.
        self._names = list(names)
        self._timeout_s = timeout_s

    async def __call__(self, keyframe: Keyframe, on_partial: OnPartial) -> Grounded:
        """Return the outcome of a keyframe; call `on_partial` with partial answers of `ask` and `describe`.

        Raises GroundingFailed, GroundingTimedOut, InvalidQuery; ServiceUnavailable if the grounder is dead or
        hangs.
        """
        grounder = await self._alive()
        if not needs_text(keyframe):
            grounded: Grounded = await call(grounder.ground.remote(keyframe), self._timeout_s)
            return grounded
        async for item in iterate(grounder.generate.remote(keyframe), self._timeout_s):
            if isinstance(item, Grounded):
                return item
            on_partial(item)
        raise ServiceUnavailable("The grounder ended in the middle of an answer.")

    async def _alive(self) -> Any:
        """Return the handle of a grounder that has just answered a heartbeat.

        Raises ServiceUnavailable, GroundingTimedOut if all of them hang.
        """
        missing = 0
        while True:
            problems: list[SaccadeError] = []
            for name in tuple(self._names):
                try:
                    grounder = find_actor(name)
                    await call(grounder.heartbeat.remote(), _HEARTBEAT_TIMEOUT_S)
                except (ActorDied, CannotStart) as exc:
                    find_actor.cache_clear()  # another may be made under the same name
                    problems.append(exc)
                except (ServiceUnavailable, GroundingTimedOut) as exc:
                    problems.append(exc)
                else:
                    self._names.remove(name)
                    self._names.insert(0, name)
                    return grounder
            missing += 1
            silent = [exc for exc in problems if type(exc) is ServiceUnavailable]
            if not silent or missing == _HEARTBEATS:
                raise (silent or problems)[0]
