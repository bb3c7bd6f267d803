"""Laws of the whole recipe; the stages have their own tests."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from engines.grounding.checkpoints import load_sa2va
from lab.training import nano_recipe
from lab.training.curves import CURVES
from lab.training.grounding_recipe import GroundingRunConfig
from lab.training.initial_weights import initial_tracker
from lab.training.nano_recipe import RECIPE, Stage, TrainOptions, TrainProgress, train_nano
from streaming.errors import NotFound


def options(folder: Path, stage: Stage) -> TrainOptions:
    runs, export = folder / "runs", folder / "out"
    return TrainOptions(stage, budget_s=0.01, runs=runs, export=export, clips=2, images=2)


def test_the_stages_share_the_whole_budget() -> None:
    assert sum(recipe.budget_share for recipe in RECIPE) == pytest.approx(1.0)
    assert [recipe.stage for recipe in RECIPE] == [stage for stage in Stage if stage is not Stage.ALL]


def test_every_stage_follows_those_it_needs() -> None:
    order = [recipe.stage for recipe in RECIPE]
    assert all(set(recipe.needs) <= set(order[:index]) for index, recipe in enumerate(RECIPE))


@pytest.mark.parametrize(
    ("stage", "needed"),
    [(Stage.DECODER, "grounding"), (Stage.GROUNDING, "vision")],
)
def test_a_missing_checkpoint_of_a_needed_stage_is_an_error(
    stage: Stage, needed: str, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match=needed):
        train_nano(options(tmp_path, stage), lambda _: None)


def test_the_stages_in_order_make_a_calibrated_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(nano_recipe, "CALIBRATION_SCENES", 3)
    shown: list[TrainProgress] = []
    tracker = tmp_path / "runs" / "tracker" / "last.pt"
    tracker.parent.mkdir(parents=True)
    torch.save({"ema": initial_tracker(5).state_dict()}, tracker)
    train_nano(options(tmp_path, Stage.VISION), shown.append)
    train_nano(options(tmp_path, Stage.GROUNDING), shown.append)
    report = train_nano(options(tmp_path, Stage.DECODER), shown.append)
    assert report.stages == (Stage.DECODER,)
    assert shown[0].stage == Stage.VISION
    assert shown[-1].spent_s == shown[-1].budget_s
    assert "presence_threshold" in load_sa2va(tmp_path / "out" / "sa2va").config


def first_session(folder: Path) -> dict[str, object]:
    first, *_ = (folder / "log.jsonl").read_text().splitlines()
    return dict(json.loads(first))


def test_options_reach_the_stages_and_curves_are_drawn_at_the_end(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train_nano(options(tmp_path, Stage.TRACKER), lambda _: None)
    train_nano(options(tmp_path, Stage.VISION), lambda _: None)
    runs = tmp_path / "runs"
    assert "clips=2" in str(first_session(runs / "tracker")["data"])
    assert first_session(runs / "vision")["images"] == 2
    svg = (runs / CURVES).read_text()
    assert all(f"{stage}: loss" in svg for stage in ("tracker", "vision"))


def test_the_curves_of_an_interrupted_stage_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nano_recipe, "GroundingRunConfig", partial(GroundingRunConfig, log_steps=1))

    def interrupt(progress: TrainProgress) -> None:
        if progress.metrics:
            raise KeyboardInterrupt

    torch.set_num_threads(1)
    with pytest.raises(KeyboardInterrupt):
        train_nano(replace(options(tmp_path, Stage.VISION), budget_s=600.0), interrupt)
    assert "vision: loss" in (tmp_path / "runs" / CURVES).read_text()
