"""Laws of the training loop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.grounding.checkpoints import load_sa2va
from engines.grounding.structure import RefinementKind
from lab.training import grounding_recipe
from lab.training.ablation import StepClock
from lab.training.batches import Batch, Pictures, draw_batch, draw_pictures
from lab.training.grounding_recipe import (
    GroundingRun,
    first_seed,
    rate_at,
    train_decoder,
    train_grounding,
    train_vision,
)
from lab.training.structure_losses import BOUNDARY_WEIGHT, CONTRAST_WEIGHT, Structure
from lab.training.tracker_recipe import fresh_tracker
from lab.training.trainable_grounder import fresh_grounder
from lab.training.world.holdout import CALIBRATION_SEED, HELD_OUT_SEED, VALIDATION_SEED
from lab.training.world.levels import CURRICULUM, Level
from streaming.errors import CheckpointError


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
    assert (
        first_seed(2000, 10**6, 256) < HELD_OUT_SEED // 2 < VALIDATION_SEED < CALIBRATION_SEED < HELD_OUT_SEED
    )


def test_the_rate_rises_stays_and_falls() -> None:
    assert rate_at(0.0) < rate_at(0.01) < rate_at(0.02)
    assert rate_at(0.1) == rate_at(0.5) == 1.0
    assert rate_at(0.7) > rate_at(0.9) > rate_at(1.0) > 0


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("vision")
    train_vision(GroundingRun(directory, budget_s=0.01), lambda _: None)
    return directory / "last.pt"


@pytest.fixture(scope="module")
def grounding(vision: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("grounding")
    train_grounding(GroundingRun(directory, budget_s=0.01), vision, lambda _: None)
    return directory


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tracker") / "last.pt"
    torch.save({"average": fresh_tracker(5).state_dict()}, path)
    return path


def test_vision_teaches_the_eyes_alone(vision: Path) -> None:
    before = fresh_grounder(1).model.state_dict()
    after = torch.load(vision, weights_only=True)["model"]
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed
    assert all(name.startswith("mllm.model.vision_tower.") for name in changed)


def test_what_vision_has_learnt_is_what_grounding_begins_with(
    vision: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grounding_recipe, "rate_at", lambda _: 0.0)
    train_grounding(GroundingRun(tmp_path, budget_s=0.01), vision, lambda _: None)
    before, after = (torch.load(path, weights_only=True)["model"] for path in (vision, tmp_path / "last.pt"))
    name = "mllm.model.vision_tower.embeddings.patch_embeddings.projection.layers.1.weight"
    assert torch.equal(before[name], after[name])


def test_what_has_no_place_here_is_not_passed_over(vision: Path, tmp_path: Path) -> None:
    saved = torch.load(vision, weights_only=True)
    saved["model"]["mllm.an_older_name"] = torch.zeros(1)
    torch.save(saved, tmp_path / "older.pt")
    with pytest.raises(CheckpointError, match=r"mllm\.an_older_name"):
        train_grounding(GroundingRun(tmp_path, budget_s=0.01), tmp_path / "older.pt", lambda _: None)


def test_held_out_scenes_are_judged_on_the_way_and_open_the_next_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[list[int]] = []

    def draw(drawn: range, level: Level) -> Pictures:
        seeds.append([*drawn])
        return draw_pictures(drawn, level)

    monkeypatch.setattr(grounding_recipe, "JUDGED_BATCHES", 1)
    monkeypatch.setattr(grounding_recipe, "draw_pictures", draw)
    told: list[dict[str, float]] = []
    run = GroundingRun(tmp_path, budget_s=0.01, judge_s=0.0, gate=0.0, pictures=2, tell_steps=1)
    train_vision(run, told.append)
    assert 0 <= told[0]["held_out_kind"] <= 1 and told[0]["rung"] == 0
    assert torch.load(tmp_path / "last.pt", weights_only=True)["ladder"] == {"level": CURRICULUM[1].name}
    held_out = [[seed >= VALIDATION_SEED for seed in drawn] for drawn in seeds]
    assert held_out[:2] == [[True, True], [False, False]], "judged, then learnt from"


def test_a_resumed_run_goes_on_with_new_seeds(
    vision: Path, grounding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, session, spent_s = _at(grounding)
    seeds: list[int] = []

    def draw(drawn: range, *what: Any, **how: Any) -> Batch:
        seeds.extend(drawn)
        return draw_batch(drawn, *what, **how)

    monkeypatch.setattr(grounding_recipe, "draw_batch", draw)
    assert step >= 1
    train_grounding(GroundingRun(grounding, budget_s=spent_s + 0.01), vision, lambda _: None)
    later_step, later_session, later_spent_s = _at(grounding)
    assert later_step > step
    assert later_session > session
    assert later_spent_s > spent_s
    assert seeds[0] == first_seed(1 + later_session, step, 8)


def test_a_spent_budget_is_not_exceeded_by_resuming(vision: Path, grounding: Path) -> None:
    before = _at(grounding)
    train_grounding(GroundingRun(grounding, budget_s=0.01), vision, lambda _: None)
    assert _at(grounding)[0] == before[0]


def test_the_decoder_stage_starts_from_reader_and_tracker_and_exports(
    grounding: Path, tracker: Path, tmp_path: Path
) -> None:
    told: list[dict[str, float]] = []
    order = GroundingRun(
        tmp_path / "decoder", export=tmp_path / "nano", budget_s=0.01, number=2, tell_steps=1
    )
    trained = train_decoder(order, grounding / "last.pt", tracker, told.append)
    assert {"step", "elapsed_s", "loss", "j", "placed"} <= told[0].keys()
    exported = load_sa2va(tmp_path / "nano").model.state_dict()
    name = "text_hidden_fcs.0.weight"
    assert torch.equal(exported[name], trained.model.state_dict()[name].half().float())


@pytest.mark.parametrize("kind", RefinementKind)
def test_a_structure_aware_decoder_learns_its_terms_and_exports_its_refinement(
    grounding: Path, tracker: Path, tmp_path: Path, kind: RefinementKind
) -> None:
    told: list[dict[str, float]] = []
    order = GroundingRun(
        tmp_path / "decoder",
        export=tmp_path / "nano",
        budget_s=3.0,
        judge_s=math.inf,
        pictures=2,
        tell_steps=3,
        structure=Structure(CONTRAST_WEIGHT, BOUNDARY_WEIGHT, kind),
        clock=StepClock(),
    )
    train_decoder(order, grounding / "last.pt", tracker, told.append)
    assert {"contrast", "boundary", "j"} <= told[0].keys()
    refinement = load_sa2va(tmp_path / "nano").model.structure
    assert refinement is not None
    assert float(refinement.gamma) != 0.0
