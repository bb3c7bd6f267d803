"""The picture encoder against transformers' own, on random weights of nano's shape."""

from __future__ import annotations

import torch

from engines.tracking.hiera import ImageEncoder
from engines.training.tracker_recipe import fresh_tracker
from engines.training.world.scenes import draw_clip


@torch.inference_mode()
def test_features_are_those_of_transformers() -> None:
    model = fresh_tracker(3).eval()
    frames = torch.from_numpy(draw_clip(5, frames=2).frames)
    encode = ImageEncoder(model)
    pixels = (frames.permute(0, 3, 1, 2).float() - encode.mean) / encode.std
    theirs = model.get_image_features(pixels, return_dict=True).fpn_hidden_states
    for ours, other in zip(encode(frames), reversed(theirs), strict=True):
        torch.testing.assert_close(ours.flatten(2).permute(2, 0, 1), other, atol=2e-5, rtol=0)
