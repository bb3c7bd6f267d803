"""The part of the image encoder that all backbones share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engines.tracking.image_encoder import IMAGE_MEAN, IMAGE_STD, ImageEncoder
from tests.edgetam import SIDE, edge_model


class RecordingEncoder(ImageEncoder):
    """Stores the input of its backbone."""

    def stages(self, image: Tensor) -> list[Tensor]:
        self.backbone_input = image
        return [
            torch.ones(len(image), width, SIDE // stride, SIDE // stride)
            for width, stride in ((16, 4), (24, 8), (32, 16), (48, 32))
        ]


@pytest.mark.parametrize("value", [0, 255])
@torch.inference_mode()
def test_the_backbone_gets_images_with_imagenet_normalisation(value: int) -> None:
    encode = RecordingEncoder(edge_model())
    encode(torch.full((1, SIDE, SIDE, 3), value, dtype=torch.uint8))
    assert encode.backbone_input.shape == (1, 3, SIDE, SIDE)
    expected = [(value / 255 - mean) / std for mean, std in zip(IMAGE_MEAN, IMAGE_STD, strict=True)]
    assert encode.backbone_input[0, :, 5, 7].tolist() == pytest.approx(expected, abs=1e-5)


@torch.inference_mode()
def test_the_coarsest_stage_is_added_to_the_stride_16_level_only() -> None:
    model = edge_model()
    encode, dark = RecordingEncoder(model), torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    before = encode(dark)
    model.vision_encoder.neck.convs[0].bias.add_(1)
    features, high_res_s1, high_res_s0 = encode(dark)
    torch.testing.assert_close(features, before[0] + 1)
    assert torch.equal(high_res_s1, before[1]) and torch.equal(high_res_s0, before[2])
    assert [tuple(level.shape) for level in (features, high_res_s1, high_res_s0)] == [
        (2, 128, 8, 8),
        (2, 32, 16, 16),
        (2, 16, 32, 32),
    ]
