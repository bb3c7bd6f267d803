"""Laws of the trainable grounder: what it takes over from a tracker."""

from __future__ import annotations

import torch

from engines.grounding.model import normalise
from lab.training.initial_weights import initial_grounder, initial_tracker
from lab.training.trainable_grounder import copy_tracker_weights
from lab.training.trainable_tracker import TrainableTracker
from lab.training.world.scenes import draw_clip


@torch.no_grad()
def test_image_features_are_those_of_the_tracker() -> None:
    grounder, tracker = initial_grounder(1).model, initial_tracker(9)
    copy_tracker_weights(grounder.segmenter, tracker.state_dict())
    frames = draw_clip(3, frames=1).frames
    ours = grounder.feature_maps(normalise(frames))[2]
    theirs = TrainableTracker(tracker).encode(torch.from_numpy(frames))[0]
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_all_multimask_outputs_start_equal() -> None:
    grounder = initial_grounder(1).model
    copy_tracker_weights(grounder.segmenter, initial_tracker(9).state_dict())
    maps = grounder.feature_maps(normalise(draw_clip(3, frames=1).frames))
    prompt = torch.randn(1, 1, 128, generator=torch.Generator().manual_seed(0))
    masks, _ = grounder.decode_masks(maps, prompt)
    torch.testing.assert_close(masks[:, :, 0], masks[:, :, 2], atol=1e-3, rtol=1e-3)
