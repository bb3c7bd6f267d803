"""What picture encoders share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from engines.tracking.fpn import IMAGE_MEAN, IMAGE_STD, PictureEncoder
from tests.edgetam import SIDE, edge_model


class Looking(PictureEncoder):
    """Keeps the picture that its backbone is shown."""

    def stages(self, picture: Tensor) -> list[Tensor]:
        self.shown = picture
        return [
            torch.ones(len(picture), width, SIDE // stride, SIDE // stride)
            for width, stride in ((16, 4), (24, 8), (32, 16), (48, 32))
        ]


@pytest.mark.parametrize("value", [0, 255])
@torch.inference_mode()
def test_a_backbone_is_shown_pictures_as_imagenet_normalises_them(value: int) -> None:
    encode = Looking(edge_model())
    encode(torch.full((1, SIDE, SIDE, 3), value, dtype=torch.uint8))
    assert encode.shown.shape == (1, 3, SIDE, SIDE)
    expected = [(value / 255 - mean) / std for mean, std in zip(IMAGE_MEAN, IMAGE_STD, strict=True)]
    assert encode.shown[0, :, 5, 7].tolist() == pytest.approx(expected, abs=1e-5)


@torch.inference_mode()
def test_the_coarsest_stage_is_added_to_the_next_and_to_no_finer_one() -> None:
    model = edge_model()
    encode, dark = Looking(model), torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    before = encode(dark)
    model.vision_encoder.neck.convs[0].bias.add_(1)
    features, mid, fine = encode(dark)
    torch.testing.assert_close(features, before[0] + 1)
    assert torch.equal(mid, before[1]) and torch.equal(fine, before[2])
    assert [tuple(level.shape) for level in (features, mid, fine)] == [
        (2, 128, 8, 8),
        (2, 32, 16, 16),
        (2, 16, 32, 32),
    ]
