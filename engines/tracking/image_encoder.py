"""The part of the image encoder that every backbone shares: normalisation, the FPN neck, and the mask
decoder's convolutions on the high-resolution levels. Backbones are in `hiera.py` and `repvit.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE_MEAN: Final = (0.485, 0.456, 0.406)
IMAGE_STD: Final = (0.229, 0.224, 0.225)


class ImageEncoder(nn.Module, ABC):
    """A backbone with its FPN neck.

    in   pixels (N, S, S, 3) uint8 RGB
    out  features (N, C, h, w) at stride 16, high_res_s1 (N, C/4, 2h, 2w) at stride 8 and high_res_s0
         (N, C/8, 4h, 4w) at stride 4, float32; the latter two are outputs of the mask decoder's `conv_s1` and
         `conv_s0`, as in SAM-2
    """

    outputs = ("features", "high_res_s1", "high_res_s0")
    ignored_scope: tuple[str, ...] = (r"/module/Conv(_\d+)?$", r".*/convs\.\d+/", r".*/projection/")
    """Convolutions around the backbone, which int8 leaves in floating point (`Calibration.ignored_scope`):
    the masks' edges depend on them. high_res_s0 then differs from float32's by a relative RMS of 0.012, else
    by 0.021, in the same time."""
    mean: Tensor
    std: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.neck = model.vision_encoder.neck
        self.conv_s0 = model.mask_decoder.conv_s0
        self.conv_s1 = model.mask_decoder.conv_s1
        mean = torch.tensor(IMAGE_MEAN).view(1, 1, 1, 3) * 255
        std = torch.tensor(IMAGE_STD).view(1, 1, 1, 3) * 255
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def normalised(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 -> (N, 3, S, S) float32."""
        # Transposed last: OpenVINO's convolutions read channels last, so nothing is moved in memory.
        return ((pixels.float() - self.mean) / self.std).permute(0, 3, 1, 2)

    @abstractmethod
    def stages(self, image: Tensor) -> Sequence[Tensor]:
        """Run the backbone: normalised (N, 3, S, S) -> (N, channels, side, side) at strides 4, 8, 16, 32."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        stages = self.stages(self.normalised(pixels))
        lateral = self.neck.convs  # from stride 32 to stride 4
        top_down = functional.interpolate(lateral[0](stages[3]), scale_factor=2.0, mode="nearest")
        features = lateral[1](stages[2]) + top_down
        high_res_s1 = _fused_convs(stages[1], lateral[2], self.conv_s1)
        high_res_s0 = _fused_convs(stages[0], lateral[3], self.conv_s0)
        return features, high_res_s1, high_res_s0


def _fused_convs(x: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """Apply two consecutive 1×1 convolutions as one: at stride 4 a ninth of the work for nano."""
    assert first.bias is not None and second.bias is not None
    outer, inner = second.weight.flatten(1), first.weight.flatten(1)
    return functional.conv2d(x, (outer @ inner)[:, :, None, None], outer @ first.bias + second.bias)
