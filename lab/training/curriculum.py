"""How the world widens while a run learns: a level is left for the next when it is mastered, never before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.training.world.levels import Level


class Ladder:
    """The level that a run stands on. Survives an interruption (`checkpoint.Stateful`)."""

    def __init__(self, levels: Sequence[Level], gate: float) -> None:
        """`gate`: what held-out scenes of a level have to reach before the next one is drawn."""
        self._levels = tuple(levels)
        self._gate = gate
        self._rung = 0

    @property
    def level(self) -> Level:
        """What is drawn now."""
        return self._levels[self._rung]

    @property
    def rung(self) -> int:
        """How many gates were passed."""
        return self._rung

    @property
    def above(self) -> tuple[Level, ...]:
        """This level and those that are left."""
        return self._levels[self._rung :]

    def judged(self, score: float) -> None:
        """Take the score on held-out scenes of this level; climb where it passes the gate."""
        if score >= self._gate:
            self._rung = min(self._rung + 1, len(self._levels) - 1)

    def state_dict(self) -> Any:
        """The level by its name: a ladder may get new rungs below."""
        return {"level": self.level.name}

    def load_state_dict(self, state: Any, /) -> None:
        """Stand where `state_dict` was taken. Raises ValueError where this ladder has no such level."""
        self._rung = [level.name for level in self._levels].index(state["level"])
