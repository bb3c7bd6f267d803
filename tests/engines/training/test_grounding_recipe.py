"""Laws of the training loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engines.grounding.checkpoints import load_sa2va
from engines.training import grounding_recipe
from engines.training.grounding_recipe import (
    GroundingRun,
    first_seed,
    rate_at,
    train_decoder,
    train_grounding,
)
from engines.training.mixture import Batch, draw_batch
from engines.training.world.holdout import HELD_OUT_SEED


def _at(directory: Path) -> tuple[int, int, float]:
    state = torch.load(directory / "last.pt", weights_only=True)
    return state["step"], state["session"], state["spent_s"]


def test_no_two_steps_share_a_seed() -> None:
    pictures = [
        range(first_seed(run, step, 8), first_seed(run, step, 8) + 8)
        for run in (1, 2, 3)
        for step in (0, 1, 2, 10**6 - 1)
    ]
    seeds = [seed for pictures_of_step in pictures for seed in pictures_of_step]
    assert len(set(seeds)) == len(seeds)


def test_a_thousand_runs_stay_below_the_held_out_seeds() -> None:
    assert first_seed(2000, 10**6, 256) < HELD_OUT_SEED // 2


def test_the_rate_rises_stays_and_falls() -> None:
    assert rate_at(0.0) < rate_at(0.01) < rate_at(0.02)
    assert rate_at(0.1) == rate_at(0.5) == 1.0
    assert rate_at(0.7) > rate_at(0.9) > rate_at(1.0) > 0


@pytest.fixture(scope="module")
def grounding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("grounding")
    train_grounding(GroundingRun(directory, budget_s=0.01), lambda _: None)
    return directory


def test_a_resumed_run_goes_on_with_new_seeds(grounding: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, session, spent_s = _at(grounding)
    seeds: list[int] = []

    def draw(seed: int, *shape: Any) -> Batch:
        seeds.append(seed)
        return draw_batch(seed, *shape)

    monkeypatch.setattr(grounding_recipe, "draw_batch", draw)
    assert step >= 1
    train_grounding(GroundingRun(grounding, budget_s=spent_s + 0.01), lambda _: None)
    later_step, later_session, later_spent_s = _at(grounding)
    assert later_step > step
    assert later_session > session
    assert later_spent_s > spent_s
    assert seeds[0] == first_seed(1 + later_session, step, 8)


def test_a_spent_budget_is_not_exceeded_by_resuming(grounding: Path) -> None:
    before = _at(grounding)
    train_grounding(GroundingRun(grounding, budget_s=0.01), lambda _: None)
    assert _at(grounding)[0] == before[0]


def test_the_decoder_stage_starts_from_the_reader_and_exports(grounding: Path, tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    order = GroundingRun(
        tmp_path / "decoder", export=tmp_path / "nano", budget_s=0.01, number=2, tell_steps=1
    )
    trained = train_decoder(order, grounding / "last.pt", told.append)
    assert {"step", "elapsed_s", "loss", "j", "placed"} <= told[0].keys()
    exported = load_sa2va(tmp_path / "nano").model.state_dict()
    name = "text_hidden_fcs.0.weight"
    assert torch.equal(exported[name], trained.model.state_dict()[name].half().float())
