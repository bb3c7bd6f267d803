"""Laws of the beginning."""

from __future__ import annotations

import torch
from torch.nn import functional

from engines.grounding.model import normalise
from lab.training.tracker_recipe import fresh_tracker
from lab.training.trainable_grounder import fresh_grounder, inherit
from lab.training.trainable_tracker import TrainedTracker
from lab.training.world.scenes import draw_clip


def test_the_same_seed_starts_from_the_same_weights() -> None:
    one, other = (fresh_grounder(2).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_nano_is_small() -> None:
    parameters = sum(weight.numel() for weight in fresh_grounder().model.parameters())
    assert 3e6 < parameters < 6e6


def test_patches_know_their_neighbours_from_the_start() -> None:
    tower = fresh_grounder().model.mllm.model.vision_tower
    places = tower.embeddings.position_embeddings.detach()[0, 1:]
    here = places[8 * 16 + 8]
    alike = functional.cosine_similarity(places, here[None], dim=1).view(16, 16)
    assert float(alike[8, 9]) > float(alike[8, 14])
    assert float(alike[9, 8]) > float(alike[14, 8])


@torch.no_grad()
def test_who_inherits_sees_as_the_tracker_sees() -> None:
    sam, tracker = fresh_grounder(1).model, fresh_tracker(9)
    inherit(sam.segmenter, tracker.state_dict())
    frames = draw_clip(3, frames=1).frames
    ours = sam.feature_maps(normalise(frames))[2]
    theirs = TrainedTracker(tracker).encode(torch.from_numpy(frames))[0]
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_all_masks_begin_as_the_one_that_the_tracker_draws() -> None:
    sam = fresh_grounder(1).model
    inherit(sam.segmenter, fresh_tracker(9).state_dict())
    maps = sam.feature_maps(normalise(draw_clip(3, frames=1).frames))
    masks, _ = sam.decode_masks(maps, torch.randn(1, 1, 128, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(masks[:, :, 0], masks[:, :, 2], atol=1e-3, rtol=1e-3)
