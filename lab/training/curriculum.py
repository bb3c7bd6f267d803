"""The curriculum of a run: which level of the drawn world its samples come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lab.training.world.levels import Level


class Curriculum:
    """Levels in order, each left for the next when its held-out score reaches a threshold.

    Part of a run's checkpoint (`checkpoint.Stateful`).
    """

    def __init__(self, levels: Sequence[Level], promotion_score: float) -> None:
        """`promotion_score`: held-out score of a level, 0..1, from which on the next level is drawn."""
        self._levels = tuple(levels)
        self._promotion_score = promotion_score
        self._index = 0

    @property
    def level(self) -> Level:
        """The level that samples are drawn from now."""
        return self._levels[self._index]

    @property
    def remaining(self) -> tuple[Level, ...]:
        """The level of now and all that follow."""
        return self._levels[self._index :]

    def update(self, score: float) -> None:
        """Take a held-out score of the level of now, 0..1; go to the next level if it is high enough."""
        if score >= self._promotion_score:
            self._index = min(self._index + 1, len(self._levels) - 1)

    def state_dict(self) -> Any:
        """Return the level by its name, which stays valid when levels are inserted."""
        return {"level": self.level.name}

    def load_state_dict(self, state: Any, /) -> None:
        """Go to the level that `state_dict` named. Raises ValueError where there is none of that name."""
        self._index = [level.name for level in self._levels].index(state["level"])
