"""From which probability on a thing is said to be there: measured, then kept in config.json."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.evaluation.held_out import draw_scene
from engines.evaluation.referring import ask_everything
from engines.grounding.checkpoints import Sa2Va
from engines.grounding.grounder import SaGrounder
from engines.training.world.holdout import CALIBRATION_SEED

BOUNDS: Final = (0.2, 0.9)
"Few scenes could put the threshold anywhere between two clear answers; it stays away from the ends."


def calibrated(checkpoint: Sa2Va, scenes: int) -> Sa2Va:
    """The same checkpoint with the threshold that balances both mistakes on drawn scenes."""
    grounder = SaGrounder(_with_threshold(checkpoint, 0.0))
    present: list[float] = []
    absent: list[float] = []
    for seed in range(CALIBRATION_SEED, CALIBRATION_SEED + scenes):
        for expression, answer in ask_everything(grounder, draw_scene(seed)):
            presence = answer.prompts[0].presence if answer.prompts else 0.0
            (present if expression.targets else absent).append(presence)
    return _with_threshold(checkpoint, best_threshold(np.array(present), np.array(absent)))


def best_threshold(present: NDArray[np.float64], absent: NDArray[np.float64]) -> float:
    """Where the share of `present` at or above plus the share of `absent` below is greatest.

    Of equally good thresholds the middle one, rounded to two digits.
    """
    candidates = np.arange(BOUNDS[0], BOUNDS[1] + 1e-9, 0.01)
    right = (present[None] >= candidates[:, None]).mean(axis=1) + (absent[None] < candidates[:, None]).mean(
        axis=1
    )
    best = np.flatnonzero(right >= right.max() - 1e-12)
    return round(float(candidates[best[len(best) // 2]]), 2)


def _with_threshold(checkpoint: Sa2Va, threshold: float) -> Sa2Va:
    config = {**checkpoint.config, "presence_threshold": threshold}
    return Sa2Va(checkpoint.model, checkpoint.template, config)
