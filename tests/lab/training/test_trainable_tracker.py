"""Laws of the trainable tracker: its device, what a step changes, and what a checkpoint holds."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from lab.training.device import to_device
from lab.training.initial_weights import initial_tracker
from lab.training.optimiser import Optimisers
from lab.training.tracker_clips import TrackerBatch, draw_clip_batch
from lab.training.trainable_tracker import EMA_DECAY, TrackerLearner, TrainableTracker
from lab.training.trainer import Metrics


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def batch() -> TrackerBatch:
    clips = draw_clip_batch(1, (1, 2, 5))
    return TrackerBatch(clips, {0: clips.masks[0], 2: clips.masks[2]})


def learner(tracker: TrainableTracker) -> TrackerLearner:
    adamw = torch.optim.AdamW(tracker.model.parameters(), lr=1e-5)
    return TrackerLearner.of(tracker, Optimisers([adamw], clipped=tracker.model.parameters()))


def decay_all(tracker: TrainableTracker, _: TrackerBatch) -> Metrics:
    """A loss with a gradient for every weight and without a forward pass."""
    loss = torch.stack([weight.square().sum() for weight in tracker.model.parameters()]).sum()
    torch.autograd.backward(loss)
    return {"loss": float(loss.detach())}


def test_clips_are_tracked_on_the_device_of_the_model(batch: TrackerBatch) -> None:
    """On the meta device, which has shapes and no numbers: a tensor left on the CPU would be an error."""
    meta = torch.device("meta")
    moved = to_device(batch, meta)
    tracker = TrainableTracker(initial_tracker(1)).to(meta)
    predictions = tracker.track_clips(moved.clips.frames, moved.prompts)
    assert [prediction.logits.device for prediction in predictions] == [meta] * 4


def test_a_step_returns_metrics_and_moves_the_weights_and_a_share_of_that_their_ema(
    batch: TrackerBatch,
) -> None:
    tracker = TrainableTracker(initial_tracker(1))
    trained = learner(tracker)
    before = tracker.model.no_memory_embedding.detach().clone()
    first = trained.step(decay_all, batch, 1.0)["loss"]
    moved = tracker.model.no_memory_embedding.detach() - before
    assert float(moved.norm()) > 0
    torch.testing.assert_close(trained.ema.no_memory_embedding - before, (1 - EMA_DECAY) * moved)
    assert trained.ema.no_memory_embedding.grad_fn is None
    assert trained.step(decay_all, batch, 1.0)["loss"] < first


def test_a_learning_rate_of_0_changes_nothing(batch: TrackerBatch) -> None:
    tracker = TrainableTracker(initial_tracker(1))
    before = {name: weight.clone() for name, weight in tracker.model.state_dict().items()}
    learner(tracker).step(decay_all, batch, 0.0)
    assert all(torch.equal(weight, before[name]) for name, weight in tracker.model.state_dict().items())


def test_another_learner_continues_equally_from_the_parts_of_a_checkpoint(batch: TrackerBatch) -> None:
    trackers = [TrainableTracker(initial_tracker(seed)) for seed in (1, 2)]
    first, second = (learner(tracker) for tracker in trackers)
    first.step(decay_all, batch, 1.0)
    for name, part in second.parts.items():
        part.load_state_dict(deepcopy(first.parts[name].state_dict()))
    for one in (first, second):
        one.step(decay_all, batch, 1.0)
    assert torch.equal(*(tracker.model.no_memory_embedding for tracker in trackers))
    assert torch.equal(first.ema.no_memory_embedding, second.ema.no_memory_embedding)
