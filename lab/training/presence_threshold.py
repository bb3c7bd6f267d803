"""Calibration of the presence threshold: P([SEG]) below it means that the phrase's object is absent."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engines.grounding.checkpoints import Sa2Va
from engines.grounding.grounder import SaGrounder
from lab.evaluation.held_out import draw_scene
from lab.evaluation.photo_referring import Asked, ask_phrases
from lab.evaluation.referring import ask_all_expressions
from lab.training.world.holdout import CALIBRATION_SEED

REFUSED_SHARE: Final = 0.95
"""Share of absent phrases that have to be refused. A mask on the wrong object is a false alarm on a
dashboard; a phrase that was refused is asked again on the next keyframe."""
BOUNDS: Final = (0.2, 0.95)
"Least and greatest threshold: few scenes could put it anywhere above clear answers."


def calibrate_presence(checkpoint: Sa2Va, scenes: int, photographs: Iterable[Asked] = ()) -> Sa2Va:
    """Return the checkpoint with `presence_threshold` in its config set on drawn scenes and on photographs.

    The scenes have seeds from CALIBRATION_SEED on, which neither training nor the test splits use;
    photographs: of `photographs_to_calibrate`.
    """
    grounder = SaGrounder(_with_threshold(checkpoint, 0.0))
    drawn = (
        ask_all_expressions(grounder, draw_scene(seed))
        for seed in range(CALIBRATION_SEED, CALIBRATION_SEED + scenes)
    )
    answered = chain(drawn, (ask_phrases(grounder, asked) for asked in photographs))
    absent = [
        answer.prompts[0].presence if answer.prompts else 0.0
        for answers in answered
        for expression, answer in answers
        if not expression.referents
    ]
    return _with_threshold(checkpoint, lowest_threshold(np.array(absent)))


def lowest_threshold(absent: NDArray[np.float64]) -> float:
    """Return the lowest threshold, in hundredths, below which `REFUSED_SHARE` of the scores lies.

    absent: (N,) presence scores 0..1 of phrases whose object is absent.
    """
    candidates = np.arange(BOUNDS[0], BOUNDS[1] + 1e-9, 0.01)
    enough = (absent[None] < candidates[:, None]).mean(axis=1) >= REFUSED_SHARE
    return round(float(candidates[enough.argmax()] if enough.any() else candidates[-1]), 2)


def _with_threshold(checkpoint: Sa2Va, threshold: float) -> Sa2Va:
    config = {**checkpoint.config, "presence_threshold": threshold}
    return Sa2Va(checkpoint.model, checkpoint.template, config)
