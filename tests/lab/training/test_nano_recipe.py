"""Laws of the whole recipe; the stages have their own tests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engines.grounding.checkpoints import load_sa2va
from lab.training import nano_recipe
from lab.training.curves import CURVES
from lab.training.nano_recipe import SHARES, Stage, TrainOptions, TrainProgress, train_nano
from lab.training.tracker_recipe import fresh_tracker
from streaming.errors import NotFound


def _options(folder: Path, stage: Stage) -> TrainOptions:
    runs, export = folder / "runs", folder / "out"
    return TrainOptions(stage, budget_s=0.01, runs=runs, export=export, clips=2, pictures=2)


def test_the_stages_share_the_whole_budget() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    assert Stage.ALL not in SHARES


@pytest.mark.parametrize(
    ("stage", "wanted"),
    [(Stage.DECODER, "grounding"), (Stage.GROUNDING, "vision")],
)
def test_a_stage_without_the_one_it_stands_on_is_said_so(stage: Stage, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=wanted):
        train_nano(_options(tmp_path, stage), lambda _: None)


def test_the_stages_one_after_the_other_make_a_calibrated_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(nano_recipe, "CALIBRATION_SCENES", 3)
    heard: list[TrainProgress] = []
    tracker = tmp_path / "runs" / "tracker" / "last.pt"
    tracker.parent.mkdir(parents=True)
    torch.save({"average": fresh_tracker(5).state_dict()}, tracker)
    train_nano(_options(tmp_path, Stage.VISION), heard.append)
    train_nano(_options(tmp_path, Stage.GROUNDING), heard.append)
    report = train_nano(_options(tmp_path, Stage.DECODER), heard.append)
    assert report.stages == (Stage.DECODER,)
    assert [progress.stage for progress in heard[:1]] == [Stage.VISION]
    assert heard[-1].spent_s == heard[-1].budget_s
    assert "presence_threshold" in load_sa2va(tmp_path / "out" / "sa2va").config


def _asked(folder: Path) -> dict[str, object]:
    """What the first session of a stage was asked for."""
    first, *_ = (folder / "log.jsonl").read_text().splitlines()
    return dict(json.loads(first))


def test_a_step_is_as_large_as_asked_and_what_was_told_is_drawn_at_the_end(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    train_nano(_options(tmp_path, Stage.TRACKER), lambda _: None)
    train_nano(_options(tmp_path, Stage.VISION), lambda _: None)
    runs = tmp_path / "runs"
    assert _asked(runs / "tracker")["clips"] == 2
    assert _asked(runs / "vision")["pictures"] == 2
    picture = (runs / CURVES).read_text()
    assert all(f"{stage}: loss" in picture for stage in ("tracker", "vision"))


def test_a_stage_that_is_stopped_is_drawn_as_far_as_it_came(tmp_path: Path) -> None:
    def stop(progress: TrainProgress) -> None:
        if progress.figures:
            raise KeyboardInterrupt

    torch.set_num_threads(1)
    with pytest.raises(KeyboardInterrupt):
        train_nano(replace(_options(tmp_path, Stage.VISION), budget_s=600.0), stop)
    assert "vision: loss" in (tmp_path / "runs" / CURVES).read_text()
