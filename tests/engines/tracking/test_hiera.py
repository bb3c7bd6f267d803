"""Hiera's image encoder compared with transformers', on random weights of nano's shape."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engines.tracking.families import build_model
from engines.tracking.hiera import HieraImageEncoder
from lab.training.initial_weights import initial_tracker
from lab.training.world.scenes import draw_clip


@torch.inference_mode()
@pytest.mark.parametrize(
    ("windows", "global_blocks"),
    [
        pytest.param([8, 4, 16, 8], [], id="nano's"),
        pytest.param([8, 4, 6, 3], [], id="padded to three by three"),
        pytest.param([8, 4, 6, 3], [4], id="padded after a global block"),
        pytest.param([8, 4, 8, 4], [4], id="windows, global, windows"),
    ],
)
def test_features_equal_those_of_transformers(windows: list[int], global_blocks: list[int]) -> None:
    config: Any = initial_tracker(3).config
    backbone = config.vision_config.backbone_config
    backbone.blocks_per_stage = [1, 2, 3, 2]
    backbone.window_size_per_stage, backbone.global_attention_blocks = windows, global_blocks
    torch.manual_seed(0)
    model: Any = build_model(config)
    model.eval()
    frames = torch.from_numpy(draw_clip(5, frames=2).frames)
    encode = HieraImageEncoder(model)
    pixels = encode.normalised(frames)
    theirs = model.get_image_features(pixels, return_dict=True).fpn_hidden_states
    for ours, other in zip(encode(frames), reversed(theirs), strict=True):
        torch.testing.assert_close(ours.flatten(2).permute(2, 0, 1), other, atol=2e-5, rtol=0)


def test_a_query_stride_other_than_two_is_refused() -> None:
    model = initial_tracker(3)
    backbone: Any = model.vision_encoder.backbone
    backbone.config.query_stride = [4, 4]
    with pytest.raises(ValueError, match="stride"):
        HieraImageEncoder(model)
