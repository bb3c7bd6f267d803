"""Laws of stage `tracker`: its loss, its gradients, validation, and resuming."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from engines.tracking.checkpoints import load_tracker_weights
from lab.training.initial_weights import initial_tracker
from lab.training.tracker_clips import DrawnClips, TrackerBatch, TrackerRequest, draw_clip_batch
from lab.training.tracker_recipe import TrackerRunConfig, lr_scale, tracking_loss, train_tracker
from lab.training.trainable_tracker import FramePrediction, TrainableTracker
from lab.training.trainer import LogEntry
from lab.training.world.levels import CURRICULUM, Level
from lab.training.world.scenes import Clip, draw_clip

TEMPORAL = "memory_temporal_positional_encoding"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def predictions(logits: torch.Tensor, score: float) -> list[FramePrediction]:
    count = logits.shape[1]
    return [FramePrediction(one, torch.full((count,), 0.9), torch.full((count,), score)) for one in logits]


def test_true_masks_cost_less_than_shifted_ones_and_those_less_than_inverted_ones() -> None:
    masks = torch.zeros(3, 1, 256, 256)
    masks[:, :, 64:160, 64:160] = 1
    low = torch.full((2, 1, 64, 64), -6.0)
    low[:, :, 16:40, 16:40] = 6.0
    true, shifted, wrong = (tracking_loss(predictions(x, 4.0), masks) for x in (low, low.roll(6, -1), -low))
    assert float(true[0]) < float(shifted[0]) < float(wrong[0])
    assert true[1]["j"] == pytest.approx(1.0) and wrong[1]["j"] == 0.0


def test_a_mask_of_an_absent_object_costs_and_so_does_a_high_object_score() -> None:
    masks = torch.zeros(2, 1, 256, 256)
    empty, full = torch.full((1, 1, 64, 64), -6.0), torch.full((1, 1, 64, 64), 6.0)
    right = float(tracking_loss(predictions(empty, -4.0), masks)[0])
    assert right < float(tracking_loss(predictions(empty, 4.0), masks)[0])
    assert right < float(tracking_loss(predictions(full, -4.0), masks)[0])


def test_every_weight_that_tracking_uses_gets_a_gradient() -> None:
    model = initial_tracker(1)
    batch = draw_clip_batch(1, (1, 1, 3))
    tracked = TrainableTracker(model).track_clips(batch.frames, {0: batch.masks[0]})
    loss, _ = tracking_loss(tracked, batch.masks)
    loss.backward()
    # Multimask output is for clicks; of its tokens the object pointer of a mask prompt is made.
    multimask = tuple(f"mask_decoder.output_hypernetworks_mlps.{number}." for number in (1, 2, 3))
    unused = {
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is None and not name.startswith(multimask)
    }
    # Of points, and of frames without memory.
    assert unused == {
        "no_memory_embedding",
        "no_memory_positional_encoding",
        "prompt_encoder.point_embed.weight",
    }


def test_an_interrupted_run_resumes_and_exports_what_can_be_loaded(tmp_path: Path) -> None:
    log: list[LogEntry] = []
    data = DrawnClips(clips=1, objects=1)
    settings = {"data": data, "export": tmp_path / "nano", "validation_s": 1e9}
    train_tracker(TrackerRunConfig(tmp_path / "run", budget_s=0.01, **settings), log.append)
    first = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert first["step"] == 1 and first["spent_s"] >= 0.01
    assert load_tracker_weights(tmp_path / "nano").side_px == 256
    train_tracker(
        TrackerRunConfig(tmp_path / "run", budget_s=first["spent_s"] + 0.01, **settings), log.append
    )
    second = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert second["step"] > first["step"] and second["spent_s"] > first["spent_s"]
    assert not all(torch.equal(first["model"][name], second["model"][name]) for name in first["model"])
    session = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert session["data"] == "DrawnClips(clips=1, objects=1)"


@dataclass(frozen=True)
class RecordingData:
    """Other data than the drawn world's: one batch for all steps; records what it is asked for."""

    requests: list[TrackerRequest]
    levels: list[Level]

    def load(self, request: TrackerRequest) -> TrackerBatch:
        self.requests.append(request)
        clips = draw_clip_batch(1, (1, 1, 3), CURRICULUM[0])
        return TrackerBatch(clips, {0: clips.masks[0]})

    def validation_clips(self, level: Level) -> Iterable[Clip]:
        self.levels.append(level)
        return [draw_clip(5, frames=3, level=level)]


def test_clips_of_training_and_validation_come_from_the_data_of_the_config(tmp_path: Path) -> None:
    data, log = RecordingData([], []), list[LogEntry]()
    config = TrackerRunConfig(tmp_path, data=data, budget_s=0.01, validation_s=0.0, seed=4)
    train_tracker(config, log.append)
    assert log[0]["clips"] == 1 and 0 <= log[0]["j"] <= 1
    assert log[0]["level"] == CURRICULUM[0].name
    assert data.levels == [CURRICULUM[0]] and data.requests[0].seed == 4


def test_the_learning_rate_warms_up_over_50_steps_and_decays_to_2_percent() -> None:
    assert lr_scale(0.0, 0) < lr_scale(0.0, 25) < lr_scale(0.0, 49) == 1.0
    assert lr_scale(1.0, 1000) == pytest.approx(0.02)


def test_a_run_starts_from_a_given_tracker(tmp_path: Path) -> None:
    """With a learning rate of 0 what is exported is what it started from, memories that nano lacks apart."""
    config = TrackerRunConfig(
        tmp_path / "run",
        data=DrawnClips(clips=1, objects=1),
        start="nano",
        adamw_lr=0.0,
        budget_s=0.01,
        validation_s=1e9,
        export=tmp_path / "out",
    )
    train_tracker(config, lambda entry: None)
    ours, theirs = (load_tracker_weights(name).model.state_dict() for name in (tmp_path / "out", "nano"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs if name != TEMPORAL)
