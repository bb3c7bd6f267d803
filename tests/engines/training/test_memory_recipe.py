"""The stage that teaches the tracker not to drift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from engines.training.clips import at_a_cameras_pace, draw_batch
from engines.training.follower import Exercise, TrainedTracker
from engines.training.memory_recipe import MemoryRun, follow, frame_loss, is_long, rate_at, train_memory
from engines.training.tracker_recipe import fresh_tracker


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("start") / "last.pt"
    torch.save({"average": fresh_tracker(3).state_dict(), "ladder": {"level": "names"}}, path)
    return path


def trained(start: Path, folder: Path, budget_s: float) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """What is in last.pt, and what was told, after a run of a budget so small that it is one step."""
    told: list[dict[str, float]] = []
    run = MemoryRun(
        folder,
        start=start,
        export=folder / "export",
        budget_s=budget_s,
        clips=1,
        objects=2,
        glimpses=(1, 2, 3),
        tell_steps=1,
    )
    train_memory(run, told.append)
    return torch.load(folder / "last.pt", weights_only=True), told


def test_lessons_of_glimpses_and_long_clips_take_turns(start: Path, tmp_path: Path) -> None:
    first, (glimpsed,) = trained(start, tmp_path, budget_s=0.01)
    _, (followed,) = trained(start, tmp_path, budget_s=first["spent_s"] + 0.01)
    assert not is_long(0) and 0 <= glimpsed["glimpsed_j"] <= 1
    assert is_long(1) and 0 <= followed["j"] <= 1 and 0 <= followed["present_right"] <= 1
    assert (tmp_path / "export" / "model.safetensors").is_file()


def test_long_clips_teach_through_memory_and_not_the_picture_encoder() -> None:
    tracker = TrainedTracker(fresh_tracker(3))
    clips = draw_batch(5, (1, 2, 5), pace=at_a_cameras_pace)
    follow(tracker, Exercise(clips, {0: clips.masks[0]}))
    taught = {name for name, weight in tracker.model.named_parameters() if weight.grad is not None}
    assert any(name.startswith("memory_encoder") for name in taught), "gradients reach back through memory"
    assert not any(name.startswith("vision_encoder") for name in taught)


def test_the_mean_that_is_exported_follows_the_weights_slowly(start: Path, tmp_path: Path) -> None:
    before = torch.load(start, weights_only=True)["average"]
    state, _ = trained(start, tmp_path, budget_s=0.01)
    name = "memory_encoder.projection.weight"
    far = (state["model"][name] - before[name]).norm()
    assert 0 < (state["average"][name] - before[name]).norm() < 0.1 * far


def test_a_resumed_run_goes_on_at_its_step(start: Path, tmp_path: Path) -> None:
    first, _ = trained(start, tmp_path, budget_s=0.01)
    second, (figures,) = trained(start, tmp_path, budget_s=first["spent_s"] + 0.01)
    assert (first["step"], second["step"], figures["step"]) == (1, 2, 2)
    assert second["spent_s"] > first["spent_s"]


def test_a_perfect_frame_costs_least_and_a_false_presence_costs() -> None:
    masks = torch.zeros(1, 256, 256)
    masks[:, 64:128, 64:128] = 1
    truth = torch.nn.functional.avg_pool2d(masks, 4)
    sure = torch.full((1,), 8.0)
    right, told = frame_loss(20 * truth - 10, torch.ones(1), sure, masks)
    shifted, _ = frame_loss(20 * truth.roll(4, 1) - 10, torch.ones(1), sure, masks)
    denied, _ = frame_loss(20 * truth - 10, torch.ones(1), -sure, masks)
    assert told["j"] == 1.0
    assert right < shifted and right < denied
    absent, _ = frame_loss(truth - 10, torch.zeros(1), -sure, torch.zeros(1, 256, 256))
    claimed, _ = frame_loss(truth - 10, torch.zeros(1), sure, torch.zeros(1, 256, 256))
    assert absent < claimed


def test_the_rate_warms_up_and_fades() -> None:
    assert rate_at(0.0, 0) < rate_at(0.0, 10) < rate_at(0.0, 30) == 1.0
    assert rate_at(1.0, 1000) == pytest.approx(0.03)
