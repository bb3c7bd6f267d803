"""Laws of clips for the tracker: functions of their seed, visible objects first, many absences later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lab.training import tracker_clips
from lab.training.nano_config import SIDE_PX
from lab.training.tracker_clips import (
    MIN_AREA,
    VALIDATION_CLIPS,
    ClipBatch,
    DrawnClips,
    TrackerRequest,
    coarse_mask,
    draw_clip_batch,
    draw_tracker_batch,
    rank_by_difficulty,
    sample_frame_indices,
)
from lab.training.world.holdout import VALIDATION_SEED
from lab.training.world.levels import CURRICULUM


@pytest.fixture(scope="module")
def batch() -> ClipBatch:
    return draw_clip_batch(3, (2, 2, 5))


def test_a_batch_has_the_requested_shape(batch: ClipBatch) -> None:
    assert batch.frames.shape == (2, 5, SIDE_PX, SIDE_PX, 3) and batch.frames.dtype == torch.uint8
    assert batch.masks.shape == (5, 4, SIDE_PX, SIDE_PX) and set(batch.masks.unique().tolist()) == {0.0, 1.0}


def test_equal_seeds_give_equal_batches_and_other_seeds_others(batch: ClipBatch) -> None:
    again, other = draw_clip_batch(3, (2, 2, 5)), draw_clip_batch(4, (2, 2, 5))
    assert torch.equal(batch.frames, again.frames) and torch.equal(batch.masks, again.masks)
    assert not torch.equal(batch.frames, other.frames)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw at a third of the side: where objects are, and when, does not depend on it."""
    monkeypatch.setattr(tracker_clips, "SIDE_PX", 96)


@pytest.mark.usefixtures("small")
def test_every_object_is_visible_on_the_first_frame() -> None:
    for seed in range(4):
        assert (draw_clip_batch(seed, (2, 2, 4)).masks[0].mean(dim=(1, 2)) > MIN_AREA).all()


def test_the_first_frame_is_used_and_some_after_it_may_be_skipped() -> None:
    sampled = [sample_frame_indices(np.random.default_rng(seed), 6)[1] for seed in range(40)]
    assert all(len(indices) == 6 and indices[0] == 0 for indices in sampled)
    assert {indices[1] for indices in sampled} == {1, 3, 5}


@pytest.mark.usefixtures("small")
def test_many_objects_are_occluded_or_leave() -> None:
    occluded = []
    for seed in range(10):
        area = draw_clip_batch(seed, (1, 1, 6)).masks.mean(dim=(2, 3))
        occluded.append(bool((area[1:].amin(dim=0) < 0.3 * area[0]).any()))
    assert np.mean(occluded) >= 0.4


def test_absent_objects_rank_first_then_occluded_ones_then_those_with_a_distractor() -> None:
    least, kinds = np.array([0.9, 0.8, 1.0, 0.1, 0.0]), ["cup", "car", "cup", "dog", "dog"]
    orders = {
        tuple(rank_by_difficulty(least, kinds, np.random.default_rng(seed)).tolist()) for seed in range(20)
    }
    assert orders == {(4, 3, 0, 2, 1), (4, 3, 2, 0, 1)}


@pytest.mark.usefixtures("small")
def test_many_objects_are_fully_absent_for_a_while() -> None:
    batches = [draw_clip_batch(seed, (2, 2, 5), CURRICULUM[-1]) for seed in range(12)]
    absent = [~batch.masks[1:].flatten(2).any(dim=2) for batch in batches]
    assert 0.06 < float(np.mean([one.float().mean() for one in absent])) < 0.4


def test_a_coarse_mask_is_close_to_the_true_one_and_less_so_with_more_noise(batch: ClipBatch) -> None:
    truth = batch.masks[0]

    def iou(noise: float) -> float:
        coarse = coarse_mask(truth, noise, torch.Generator().manual_seed(0))
        assert coarse.shape == truth.shape and set(coarse.unique().tolist()) <= {0.0, 1.0}
        return float((coarse * truth).sum() / torch.maximum(coarse, truth).sum())

    assert iou(0.0) > 0.85 and 0.6 < iou(0.2) < iou(0.0)


def test_late_prompts_are_never_empty() -> None:
    batches = [draw_tracker_batch(1, step, (1, 2, 8), CURRICULUM[-1]) for step in range(0, 36, 6)]
    prompts = [mask for batch in batches for mask in batch.prompts.values()]
    assert len(batches) < len(prompts) < 2 * len(batches)
    assert all(mask.flatten(1).any(dim=1).all() for mask in prompts)


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, float], tuple[int, int, int]]:
    """The (clips, objects, frames) that are drawn at a step and a share of the budget."""

    def draw(_: int, __: int, shape: tuple[int, int, int], ___: object) -> Any:
        return shape

    monkeypatch.setattr(tracker_clips, "draw_tracker_batch", draw)
    data: Any = DrawnClips(clips=4, objects=3)
    return lambda step, spent: data.load(TrackerRequest(1, step, spent, CURRICULUM[0]))


def test_clips_grow_longer_and_fewer_as_the_budget_is_spent(
    shapes: Callable[[int, float], tuple[int, int, int]],
) -> None:
    assert shapes(0, 0.0) == (5, 3, 3)
    assert shapes(0, 0.2) == (4, 3, 4)
    assert [shapes(step, 0.5) for step in range(8)] == [(2, 3, 8)] * 2 + [(3, 3, 5)] * 6


def test_validation_clips_are_held_out_and_the_same_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_clips, "draw_clip", lambda seed, **_: seed)
    clips = DrawnClips()
    first, again = (list(clips.validation_clips(CURRICULUM[0])) for _ in range(2))
    assert first == again == list(range(VALIDATION_SEED, VALIDATION_SEED + VALIDATION_CLIPS))
