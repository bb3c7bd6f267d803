"""The tracker's training: what it starts from, what it minimises, and that it can be interrupted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.tracking.checkpoints import load_tracker_weights
from lab.training import tracker_recipe
from lab.training.tracker_clips import draw_batch
from lab.training.tracker_recipe import (
    TrackerRun,
    draw_exercise,
    fresh_tracker,
    loss_of,
    rate_at,
    train_tracker,
)
from lab.training.trainable_tracker import TrainedTracker
from lab.training.world.holdout import VALIDATION_SEED
from lab.training.world.levels import CURRICULUM
from lab.training.world.scenes import Clip, draw_clip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def followed(logits: torch.Tensor, score: float) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    count = logits.shape[1]
    return [(one, torch.full((count,), 0.9), torch.full((count,), score)) for one in logits]


def test_nano_is_small() -> None:
    parameters = sum(weight.numel() for weight in fresh_tracker().parameters())
    assert 1.5e6 < parameters < 2.3e6


def test_the_same_seed_starts_from_the_same_weights() -> None:
    one, other = fresh_tracker(2).state_dict(), fresh_tracker(2).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_memory_attention_begins_by_looking_at_the_place_itself() -> None:
    with torch.no_grad():
        tracker = TrainedTracker(fresh_tracker(1))
        attention = tracker.track.attention
        cross = attention.blocks[0].cross_attn_image
        query = attention._asking(cross.q_proj, torch.zeros(1, 256, 128))
        (key,) = attention._keys(cross, torch.zeros(1, 1, 256, 64), torch.zeros(1, 0, 64))
        assert torch.equal((query @ key.transpose(1, 2))[0].argmax(dim=1), torch.arange(256))


def test_the_truth_costs_less_than_a_shifted_mask_and_that_less_than_its_opposite() -> None:
    masks = torch.zeros(3, 1, 256, 256)
    masks[:, :, 64:160, 64:160] = 1
    low = torch.full((2, 1, 64, 64), -6.0)
    low[:, :, 16:40, 16:40] = 6.0
    true, shifted, wrong = (loss_of(followed(x, 4.0), masks) for x in (low, low.roll(6, -1), -low))
    assert float(true[0]) < float(shifted[0]) < float(wrong[0])
    assert true[1]["j"] == pytest.approx(1.0) and wrong[1]["j"] == 0.0


def test_a_mask_on_an_object_that_is_away_costs_and_so_does_calling_it_present() -> None:
    masks = torch.zeros(2, 1, 256, 256)
    silent, loud = torch.full((1, 1, 64, 64), -6.0), torch.full((1, 1, 64, 64), 6.0)
    calm = float(loss_of(followed(silent, -4.0), masks)[0])
    assert calm < float(loss_of(followed(silent, 4.0), masks)[0])
    assert calm < float(loss_of(followed(loud, -4.0), masks)[0])


def test_every_weight_that_tracking_uses_gets_a_gradient() -> None:
    model = fresh_tracker(1)
    batch = draw_batch(1, (1, 1, 3))
    loss, _ = loss_of(TrainedTracker(model).follow(batch.frames, {0: batch.masks[0]}), batch.masks)
    loss.backward()
    # Three masks of a click are never drawn; of their tokens the pointer of a given mask is made.
    clicks = tuple(f"mask_decoder.output_hypernetworks_mlps.{number}." for number in (1, 2, 3))
    unused = {
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is None and not name.startswith(clicks)
    }
    # Points, and what only a picture without memory needs.
    assert unused == {
        "no_memory_embedding",
        "no_memory_positional_encoding",
        "prompt_encoder.point_embed.weight",
    }


def test_a_mask_is_given_late_only_of_what_is_there() -> None:
    exercises = [draw_exercise(1, step, (1, 2, 8), CURRICULUM[-1]) for step in range(0, 36, 3)]
    given = [mask for exercise in exercises for mask in exercise.prompts.values()]
    assert len(exercises) < len(given) < 2 * len(exercises)
    assert all(mask.flatten(1).any(dim=1).all() for mask in given)


def test_an_interrupted_run_goes_on_where_it_was_and_exports_what_can_be_loaded(tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    settings = {"export": tmp_path / "nano", "clips": 1, "objects": 1, "judge_s": 1e9}
    train_tracker(TrackerRun(tmp_path / "run", budget_s=0.5, **settings), told.append)
    first = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert first["step"] >= 1 and first["spent_s"] >= 0.5
    assert load_tracker_weights(tmp_path / "nano").side_px == 256
    train_tracker(TrackerRun(tmp_path / "run", budget_s=first["spent_s"] + 0.5, **settings), told.append)
    second = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert second["step"] > first["step"] and second["spent_s"] > first["spent_s"]
    assert not all(torch.equal(first["model"][name], second["model"][name]) for name in first["model"])
    assert json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])["clips"] == 1


def test_held_out_clips_are_judged_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def draw(seed: int, **how: Any) -> Clip:
        seeds.append(seed)
        return draw_clip(seed, **how)

    monkeypatch.setattr(tracker_recipe, "JUDGED_CLIPS", 1)
    monkeypatch.setattr(tracker_recipe, "draw_clip", draw)
    told: list[dict[str, float]] = []
    train_tracker(TrackerRun(tmp_path, budget_s=0.01, clips=1, objects=1, judge_s=0.0), told.append)
    assert told[0]["clips"] == 1 and 0 <= told[0]["j"] <= 1
    assert seeds == [VALIDATION_SEED]


def test_the_rate_warms_up_and_fades() -> None:
    assert rate_at(0.0, 0) < rate_at(0.0, 25) < rate_at(0.0, 49) == 1.0
    assert rate_at(1.0, 1000) == pytest.approx(0.02)
