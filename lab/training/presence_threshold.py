"""From which probability on a thing is said to be there: measured, then kept in config.json."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.grounder import SaGrounder
from lab.evaluation.held_out import draw_scene
from lab.evaluation.referring import ask_all_expressions
from lab.training.world.holdout import CALIBRATION_SEED

REFUSED: Final = 0.95
"""Share of phrases about nothing that have to be refused. A mask on the wrong thing is a false alarm on a
dashboard; a phrase that is refused is put to the next keyframe again."""
BOUNDS: Final = (0.2, 0.95)
"Few scenes could put the threshold anywhere above clear answers; it stays away from the ends."


def calibrated(checkpoint: Sa2Va, scenes: int) -> Sa2Va:
    """The same checkpoint with the lowest threshold that refuses enough on drawn scenes."""
    grounder = SaGrounder(_with_threshold(checkpoint, 0.0))
    absent = [
        answer.prompts[0].presence if answer.prompts else 0.0
        for seed in range(CALIBRATION_SEED, CALIBRATION_SEED + scenes)
        for expression, answer in ask_all_expressions(grounder, draw_scene(seed))
        if not expression.referents
    ]
    return _with_threshold(checkpoint, lowest_threshold(np.array(absent)))


def lowest_threshold(absent: NDArray[np.float64]) -> float:
    """The lowest, in hundredths, below which a share `REFUSED` of these probabilities lies."""
    candidates = np.arange(BOUNDS[0], BOUNDS[1] + 1e-9, 0.01)
    enough = (absent[None] < candidates[:, None]).mean(axis=1) >= REFUSED
    return round(float(candidates[enough.argmax()] if enough.any() else candidates[-1]), 2)


def _with_threshold(checkpoint: Sa2Va, threshold: float) -> Sa2Va:
    config = {**checkpoint.config, "presence_threshold": threshold}
    return Sa2Va(checkpoint.model, checkpoint.template, config)
