"""Training clips: fixed by their seed, clearly seen at first, often hidden later."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.training.nano_config import SIDE_PX
from lab.training.tracker_clips import Batch, coarse, draw_batch, in_glimpses, teaching_order
from lab.training.world.levels import CURRICULUM


@pytest.fixture(scope="module")
def batch() -> Batch:
    return draw_batch(3, (2, 2, 5))


def test_a_batch_has_the_shape_asked_for(batch: Batch) -> None:
    assert batch.frames.shape == (2, 5, SIDE_PX, SIDE_PX, 3) and batch.frames.dtype == torch.uint8
    assert batch.masks.shape == (5, 4, SIDE_PX, SIDE_PX) and set(batch.masks.unique().tolist()) == {0.0, 1.0}


def test_the_same_seed_draws_the_same_and_another_seed_another(batch: Batch) -> None:
    again, other = draw_batch(3, (2, 2, 5)), draw_batch(4, (2, 2, 5))
    assert torch.equal(batch.frames, again.frames) and torch.equal(batch.masks, again.masks)
    assert not torch.equal(batch.frames, other.frames)


def test_every_object_is_clearly_seen_where_it_is_given() -> None:
    for seed in range(4):
        assert (draw_batch(seed, (2, 2, 4)).masks[0].mean(dim=(1, 2)) > 0.004).all()


def test_of_every_clip_the_first_frame_is_taken_and_after_it_some_may_be_missing() -> None:
    taken = [in_glimpses(np.random.default_rng(seed), 6)[1] for seed in range(40)]
    assert all(len(kept) == 6 and kept[0] == 0 for kept in taken)
    assert {kept[1] for kept in taken} == {1, 3, 5}


def test_many_objects_hide_or_leave() -> None:
    hidden = []
    for seed in range(10):
        area = draw_batch(seed, (1, 1, 6)).masks.mean(dim=(2, 3))
        hidden.append(bool((area[1:].amin(dim=0) < 0.3 * area[0]).any()))
    assert np.mean(hidden) >= 0.4


def test_what_goes_is_taken_first_then_what_hides_and_then_what_has_a_look_alike() -> None:
    least, kinds = np.array([0.9, 0.8, 1.0, 0.1, 0.0]), ["cup", "car", "cup", "dog", "dog"]
    orders = {tuple(teaching_order(least, kinds, np.random.default_rng(seed)).tolist()) for seed in range(20)}
    assert orders == {(4, 3, 0, 2, 1), (4, 3, 2, 0, 1)}


def test_many_objects_are_wholly_out_of_sight_for_a_while() -> None:
    batches = [draw_batch(seed, (2, 2, 5), CURRICULUM[-1]) for seed in range(12)]
    away = [~batch.masks[1:].flatten(2).any(dim=2) for batch in batches]
    assert 0.06 < float(np.mean([one.float().mean() for one in away])) < 0.4


def test_a_coarse_mask_is_near_the_true_one_and_rougher_with_more_noise(batch: Batch) -> None:
    truth = batch.masks[0]

    def iou(amount: float) -> float:
        rough = coarse(truth, amount, torch.Generator().manual_seed(0))
        assert rough.shape == truth.shape and set(rough.unique().tolist()) <= {0.0, 1.0}
        return float((rough * truth).sum() / torch.maximum(rough, truth).sum())

    assert iou(0.0) > 0.85 and 0.6 < iou(0.2) < iou(0.0)
