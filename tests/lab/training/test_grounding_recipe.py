"""Laws of stages `vision`, `grounding` and `decoder`: seeds, what each trains, validation, resuming."""

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
from lab.training.batches import (
    GroundingBatch,
    ImageBatch,
    draw_grounding_batch,
    draw_image_batch,
    draw_photo_batch,
)
from lab.training.grounding_recipe import (
    GroundingRunConfig,
    first_seed,
    train_decoder,
    train_grounding,
    train_vision,
)
from lab.training.initial_weights import initial_grounder, initial_tracker
from lab.training.structure_losses import BOUNDARY_WEIGHT, CONTRAST_WEIGHT, StructureConfig
from lab.training.trainer import LogEntry
from lab.training.world.holdout import CALIBRATION_SEED, HELD_OUT_SEED, VALIDATION_SEED
from lab.training.world.levels import CURRICULUM, Level
from lab.training.world.photo_samples import PhotoSampler, load_sampler
from streaming.errors import CheckpointError, NotFound
from tests.photo_folder import write_photo_folder

IMAGES = 2
"Scenes of a step."


def saved(directory: Path) -> tuple[int, int, float]:
    state = torch.load(directory / "last.pt", weights_only=True)
    return state["step"], state["session"], state["spent_s"]


def test_no_two_steps_share_a_seed() -> None:
    ranges = [
        range(first_seed(run, step, 8), first_seed(run, step, 8) + 8)
        for run in (1, 2, 3)
        for step in (0, 1, 2, 10**6 - 1)
    ]
    seeds = [seed for seeds_of_step in ranges for seed in seeds_of_step]
    assert len(set(seeds)) == len(seeds)


def test_a_thousand_runs_stay_below_the_held_out_seeds() -> None:
    assert (
        first_seed(2000, 10**6, 256) < HELD_OUT_SEED // 2 < VALIDATION_SEED < CALIBRATION_SEED < HELD_OUT_SEED
    )


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("vision")
    train_vision(GroundingRunConfig(directory, budget_s=0.01, images=IMAGES), lambda _: None)
    return directory / "last.pt"


@pytest.fixture(scope="module")
def grounding(vision: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("grounding")
    train_grounding(GroundingRunConfig(directory, budget_s=0.01, images=IMAGES), vision, lambda _: None)
    return directory


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tracker") / "last.pt"
    torch.save({"ema": initial_tracker(5).state_dict()}, path)
    return path


def test_stage_vision_trains_the_vision_tower_only(vision: Path) -> None:
    before = initial_grounder(1).model.state_dict()
    after = torch.load(vision, weights_only=True)["model"]
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed
    assert all(name.startswith("mllm.model.vision_tower.") for name in changed)


def test_stage_grounding_starts_from_the_weights_of_stage_vision(
    vision: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grounding_recipe, "warmup_stable_decay", lambda _: 0.0)
    train_grounding(GroundingRunConfig(tmp_path, budget_s=0.01, images=IMAGES), vision, lambda _: None)
    before, after = (torch.load(path, weights_only=True)["model"] for path in (vision, tmp_path / "last.pt"))
    name = "mllm.model.vision_tower.embeddings.patch_embeddings.projection.layers.1.weight"
    assert torch.equal(before[name], after[name])


def test_weights_that_the_model_lacks_are_an_error(vision: Path, tmp_path: Path) -> None:
    state = torch.load(vision, weights_only=True)
    state["model"]["mllm.an_older_name"] = torch.zeros(1)
    torch.save(state, tmp_path / "older.pt")
    with pytest.raises(CheckpointError, match=r"mllm\.an_older_name"):
        train_grounding(GroundingRunConfig(tmp_path, budget_s=0.01), tmp_path / "older.pt", lambda _: None)


def test_a_validation_precedes_its_step_and_opens_the_next_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[list[int]] = []

    def draw(drawn: range, level: Level) -> ImageBatch:
        seeds.append([*drawn])
        return draw_image_batch(drawn, level)

    monkeypatch.setattr(grounding_recipe, "VALIDATION_BATCHES", 1)
    monkeypatch.setattr(grounding_recipe, "draw_image_batch", draw)
    log: list[LogEntry] = []
    config = GroundingRunConfig(
        tmp_path, budget_s=0.01, validation_s=0.0, promotion_score=0.0, images=2, log_steps=1
    )
    train_vision(config, log.append)
    assert 0 <= log[0]["held_out_category"] <= 1 and log[0]["level"] == CURRICULUM[0].name
    assert torch.load(tmp_path / "last.pt", weights_only=True)["curriculum"] == {"level": CURRICULUM[1].name}
    held_out = [[seed >= VALIDATION_SEED for seed in drawn] for drawn in seeds]
    assert held_out[:2] == [[True, True], [False, False]]


def test_a_resumed_run_draws_new_seeds(
    vision: Path, grounding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, session, spent_s = saved(grounding)
    seeds: list[int] = []

    def draw(drawn: range, *args: Any, **settings: Any) -> GroundingBatch:
        seeds.extend(drawn)
        return draw_grounding_batch(drawn, *args, **settings)

    monkeypatch.setattr(grounding_recipe, "draw_grounding_batch", draw)
    assert step >= 1
    resumed = GroundingRunConfig(grounding, budget_s=spent_s + 0.01, images=IMAGES)
    train_grounding(resumed, vision, lambda _: None)
    later_step, later_session, later_spent_s = saved(grounding)
    assert later_step > step
    assert later_session > session
    assert later_spent_s > spent_s
    assert seeds[0] == first_seed(1 + later_session, step, IMAGES)


def test_resuming_a_finished_run_takes_no_step(vision: Path, grounding: Path) -> None:
    before = saved(grounding)
    train_grounding(GroundingRunConfig(grounding, budget_s=0.01), vision, lambda _: None)
    assert saved(grounding)[0] == before[0]


def test_stage_decoder_starts_from_grounding_and_tracker_and_exports(
    grounding: Path, tracker: Path, tmp_path: Path
) -> None:
    log: list[LogEntry] = []
    config = GroundingRunConfig(
        tmp_path / "decoder", export=tmp_path / "nano", budget_s=0.01, seed=2, log_steps=1, images=IMAGES
    )
    trained = train_decoder(config, grounding / "last.pt", tracker, log.append)
    assert {"step", "elapsed_s", "loss", "j", "prompt_position"} <= log[0].keys()
    exported = load_sa2va(tmp_path / "nano").model.state_dict()
    name = "text_hidden_fcs.0.weight"
    assert torch.equal(exported[name], trained.model.state_dict()[name].half().float())


@pytest.mark.parametrize("kind", RefinementKind)
def test_stage_decoder_trains_the_structure_aware_parts_and_exports_the_refinement(
    grounding: Path, tracker: Path, tmp_path: Path, kind: RefinementKind
) -> None:
    log: list[LogEntry] = []
    config = GroundingRunConfig(
        tmp_path / "decoder",
        export=tmp_path / "nano",
        budget_s=3.0,
        validation_s=math.inf,
        images=IMAGES,
        log_steps=3,
        structure=StructureConfig(CONTRAST_WEIGHT, BOUNDARY_WEIGHT, kind),
        clock=StepClock(),
    )
    train_decoder(config, grounding / "last.pt", tracker, log.append)
    assert {"contrast", "boundary", "j"} <= log[0].keys()
    refinement = load_sa2va(tmp_path / "nano").model.structure
    assert refinement is not None
    assert float(refinement.gamma) != 0.0


def test_photographs_are_trained_on_and_held_out_ones_validated(
    vision: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock ends the run after its first step, which is one of photographs."""
    loaded: list[tuple[str, bool]] = []

    def draw(sampler: PhotoSampler, seeds: range, *args: Any, **sizes: Any) -> GroundingBatch:
        val = load_sampler(photos, "val")
        loaded.append(("val" if sampler is val else "train", seeds[0] >= VALIDATION_SEED))
        return draw_photo_batch(sampler, seeds, *args, **sizes)

    photos = write_photo_folder(tmp_path / "photos")
    monkeypatch.setattr(grounding_recipe, "draw_photo_batch", draw)
    monkeypatch.setattr(grounding_recipe, "VALIDATION_BATCHES", 1)
    log: list[LogEntry] = []
    config = GroundingRunConfig(
        tmp_path / "run", budget_s=0.01, validation_s=0.0, images=2, log_steps=1, photos=photos
    )
    train_grounding(config, vision, log.append)
    assert 0 <= log[0]["held_out_photo_hit"] <= 1 and 0 <= log[0]["held_out_hit"] <= 1
    assert loaded[:2] == [("val", True), ("train", False)] or loaded[:2] == [("train", False), ("val", True)]


def test_a_folder_without_photographs_is_an_error_at_once(vision: Path, tmp_path: Path) -> None:
    config = GroundingRunConfig(tmp_path, budget_s=0.01, photos=tmp_path / "none")
    with pytest.raises(NotFound, match="no photographs"):
        train_grounding(config, vision, lambda _: None)
