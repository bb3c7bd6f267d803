"""Laws of the whole recipe; the stages have their own tests."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engines.grounding.checkpoints import load_sa2va
from engines.training import recipe
from engines.training.recipe import SHARES, Stage, TrainOptions, TrainProgress, train_nano
from engines.training.tracker_recipe import fresh_tracker
from streaming.errors import Conflict, NotFound


def _options(folder: Path, stage: Stage, *, resume: bool = True) -> TrainOptions:
    return TrainOptions(stage, budget_s=0.01, resume=resume, runs=folder / "runs", export=folder / "out")


def test_the_stages_share_the_whole_budget() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    assert Stage.ALL not in SHARES


@pytest.mark.parametrize(
    ("stage", "wanted"),
    [(Stage.DECODER, "grounding"), (Stage.MEMORY, "tracker"), (Stage.GROUNDING, "vision")],
)
def test_a_stage_without_the_one_it_stands_on_is_said_so(stage: Stage, wanted: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=wanted):
        train_nano(_options(tmp_path, stage), lambda _: None)


def test_an_earlier_run_is_not_overwritten(tmp_path: Path) -> None:
    last = tmp_path / "runs" / "grounding" / "last.pt"
    last.parent.mkdir(parents=True)
    last.write_bytes(b"precious")
    with pytest.raises(Conflict):
        train_nano(_options(tmp_path, Stage.GROUNDING, resume=False), lambda _: None)
    assert last.read_bytes() == b"precious"


def test_the_stages_one_after_the_other_make_a_calibrated_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(recipe, "CALIBRATION_SCENES", 3)
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
