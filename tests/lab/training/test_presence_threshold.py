"""Laws of the presence threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab.evaluation.held_out import Scene, draw_scene
from lab.evaluation.photo_referring import photographs_to_ask
from lab.training import presence_threshold
from lab.training.initial_weights import initial_grounder
from lab.training.presence_threshold import BOUNDS, REFUSED_SHARE, calibrate_presence, lowest_threshold
from lab.training.world.holdout import CALIBRATION_SEED
from tests.photo_folder import write_photo_folder


def test_the_threshold_is_the_lowest_that_refuses_enough() -> None:
    absent = np.random.default_rng(0).uniform(size=2000) ** 2
    threshold = lowest_threshold(absent)
    assert (absent < threshold).mean() >= REFUSED_SHARE > (absent < threshold - 0.01).mean()


def test_low_scores_of_all_absent_phrases_give_the_least_threshold() -> None:
    assert lowest_threshold(np.full(50, 0.01)) == BOUNDS[0]


def test_high_scores_of_all_absent_phrases_give_the_greatest_threshold() -> None:
    assert lowest_threshold(np.full(50, 0.99)) == BOUNDS[1]


def test_rare_high_scores_do_not_change_the_threshold() -> None:
    assert lowest_threshold(np.concatenate([np.full(96, 0.305), np.full(4, 0.9)])) == 0.31


def test_calibration_has_its_own_seeds_and_changes_only_the_threshold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds: list[int] = []

    def draw(seed: int) -> Scene:
        seeds.append(seed)
        return draw_scene(seed)

    monkeypatch.setattr(presence_threshold, "draw_scene", draw)
    nano = initial_grounder(1)
    calibrated = calibrate_presence(nano, 2)
    assert seeds == [CALIBRATION_SEED, CALIBRATION_SEED + 1]
    assert calibrated.model is nano.model
    assert calibrated.config == nano.config | {"presence_threshold": BOUNDS[0]}


def test_photographs_calibrate_it_too(tmp_path: Path) -> None:
    asked = list(photographs_to_ask(write_photo_folder(tmp_path, images=8), 0))
    assert any(not expression.referents for each in asked for expression in each.expressions)
    calibrated = calibrate_presence(initial_grounder(1), 0, asked)
    assert BOUNDS[0] <= calibrated.config["presence_threshold"] <= BOUNDS[1]
