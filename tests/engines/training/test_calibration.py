"""Laws of the presence threshold."""

from __future__ import annotations

import numpy as np

from engines.training.calibration import BOUNDS, best_threshold


def test_clear_answers_put_the_threshold_between_them() -> None:
    assert 0.3 < best_threshold(np.array([0.7, 0.9, 0.95]), np.array([0.1, 0.2, 0.3])) <= 0.7


def test_a_timid_model_gets_a_low_threshold() -> None:
    assert best_threshold(np.array([0.31, 0.35, 0.4]), np.array([0.01, 0.25, 0.05])) <= 0.31


def test_both_mistakes_weigh_the_same_however_many_there_are() -> None:
    present = np.full(10, 0.6)
    absent = np.concatenate([np.full(900, 0.1), np.full(100, 0.7)])
    assert best_threshold(present, absent) <= 0.6


def test_the_threshold_stays_away_from_the_ends() -> None:
    threshold = best_threshold(np.array([1.0]), np.array([0.0]))
    assert BOUNDS[0] <= threshold <= BOUNDS[1]
