"""Laws of the presence threshold."""

from __future__ import annotations

import numpy as np
import pytest

from lab.evaluation.held_out import Scene, draw_scene
from lab.training import presence_threshold
from lab.training.presence_threshold import BOUNDS, REFUSED, calibrated, lowest_threshold
from lab.training.trainable_grounder import fresh_grounder
from lab.training.world.holdout import CALIBRATION_SEED


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


def test_scenes_of_its_own_set_it_and_nothing_else_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def draw(seed: int) -> Scene:
        seeds.append(seed)
        return draw_scene(seed)

    monkeypatch.setattr(presence_threshold, "draw_scene", draw)
    nano = fresh_grounder(1)
    set_ = calibrated(nano, 2)
    assert seeds == [CALIBRATION_SEED, CALIBRATION_SEED + 1]
    assert set_.model is nano.model
    assert set_.config == nano.config | {"presence_threshold": BOUNDS[0]}, (
        "an untaught model believes nothing"
    )
