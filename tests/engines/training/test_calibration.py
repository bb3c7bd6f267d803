"""Laws of the presence threshold."""

from __future__ import annotations

import numpy as np

from engines.training.calibration import BOUNDS, REFUSED, lowest_threshold


def test_enough_is_refused_and_no_more_than_needed() -> None:
    absent = np.random.default_rng(0).uniform(size=2000) ** 2
    threshold = lowest_threshold(absent)
    assert (absent < threshold).mean() >= REFUSED > (absent < threshold - 0.01).mean()


def test_a_model_that_is_sure_of_what_is_not_there_gets_a_low_threshold() -> None:
    assert lowest_threshold(np.full(50, 0.01)) == BOUNDS[0]


def test_one_that_believes_everything_gets_the_highest() -> None:
    assert lowest_threshold(np.full(50, 0.99)) == BOUNDS[1]


def test_rare_mistakes_do_not_move_it() -> None:
    assert lowest_threshold(np.concatenate([np.full(96, 0.305), np.full(4, 0.9)])) == 0.31
