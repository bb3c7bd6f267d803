"""Laws of who learns to follow: where it works, what a step changes, and what is kept of it."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from lab.training.device import to_device
from lab.training.optimiser import Optimisers
from lab.training.tracker_clips import draw_batch
from lab.training.tracker_recipe import fresh_tracker
from lab.training.trainable_tracker import Exercise, Follower, TrainedTracker
from lab.training.trainer import Figures


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def exercise() -> Exercise:
    batch = draw_batch(1, (1, 2, 5))
    return Exercise(batch, {0: batch.masks[0], 2: batch.masks[2]})


def follower(tracker: TrainedTracker) -> Follower:
    adam = torch.optim.AdamW(tracker.model.parameters(), lr=1e-5)
    return Follower(tracker, Optimisers([adam], clipped=tracker.model.parameters()))


def want_less(tracker: TrainedTracker, _: Exercise) -> Figures:
    """A lesson that every weight can learn without a picture."""
    loss = torch.stack([weight.square().sum() for weight in tracker.model.parameters()]).sum()
    torch.autograd.backward(loss)
    return {"loss": float(loss.detach())}


def test_clips_are_followed_where_the_model_is(exercise: Exercise) -> None:
    """On the device that has shapes and no numbers: anything left on the CPU would be refused."""
    elsewhere = torch.device("meta")
    moved = to_device(exercise, elsewhere)
    seen = TrainedTracker(fresh_tracker(1)).to(elsewhere).follow(moved.clips.frames, moved.prompts)
    assert [logits.device for logits, _, _ in seen] == [elsewhere] * 4


def test_a_step_tells_how_it_went_and_moves_the_weights_and_their_mean_a_little(exercise: Exercise) -> None:
    tracker = TrainedTracker(fresh_tracker(1))
    one = follower(tracker)
    before = tracker.model.no_memory_embedding.detach().clone()
    losses = [one.learn(want_less, exercise, 1.0)["loss"] for _ in range(2)]
    moved = float((tracker.model.no_memory_embedding.detach() - before).norm())
    assert losses[1] < losses[0]
    assert 0 < float((one.average.no_memory_embedding.detach() - before).norm()) < 0.1 * moved


def test_at_a_rate_of_nothing_nothing_is_learnt(exercise: Exercise) -> None:
    tracker = TrainedTracker(fresh_tracker(1))
    before = {name: weight.clone() for name, weight in tracker.model.state_dict().items()}
    follower(tracker).learn(want_less, exercise, 0.0)
    assert all(torch.equal(weight, before[name]) for name, weight in tracker.model.state_dict().items())


def test_what_is_kept_makes_another_go_on_alike(exercise: Exercise) -> None:
    trackers = [TrainedTracker(fresh_tracker(seed)) for seed in (1, 2)]
    first, second = (follower(tracker) for tracker in trackers)
    first.learn(want_less, exercise, 1.0)
    for name, part in second.parts.items():
        part.load_state_dict(deepcopy(first.parts[name].state_dict()))
    for one in (first, second):
        one.learn(want_less, exercise, 1.0)
    assert torch.equal(*(tracker.model.no_memory_embedding for tracker in trackers))
    assert torch.equal(first.average.no_memory_embedding, second.average.no_memory_embedding)
