"""What SAM-2's picture encoders share: the picture's normalisation, the pyramid over a backbone's stages, and
the decoder's two convolutions on its finer levels. The backbones are in `hiera.py` and `repvit.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

IMAGE_MEAN: Final = (0.485, 0.456, 0.406)
IMAGE_STD: Final = (0.229, 0.224, 0.225)


class PictureEncoder(nn.Module, ABC):
    """A backbone and its pyramid.

    in   pixels (N, S, S, 3) uint8 RGB
    out  features (N, C, h, w) at stride 16, mid (N, C/4, 2h, 2w), fine (N, C/8, 4h, 4w), float32;
         mid and fine have been through the mask decoder's `conv_s1`, `conv_s0`
    """

    outputs = ("features", "mid", "fine")
    exact: tuple[str, ...] = (r"/module/Conv(_\d+)?$", r".*/convs\.\d+/", r".*/projection/")
    """Not in int8 (`Calibration.exact`): the convolutions around the backbone. Masks have their edges from
    them: so `fine` is off by 0.012 (root mean square, in parts of float32's), else by 0.021, in the same
    time."""
    mean: Tensor
    std: Tensor

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.neck = model.vision_encoder.neck
        self.fine_conv = model.mask_decoder.conv_s0
        self.mid_conv = model.mask_decoder.conv_s1
        mean = torch.tensor(IMAGE_MEAN).view(1, 1, 1, 3) * 255
        std = torch.tensor(IMAGE_STD).view(1, 1, 1, 3) * 255
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def normalised(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 -> (N, 3, S, S) float32."""
        # Turned last: OpenVINO's convolutions read channels last, and nothing is turned.
        return ((pixels.float() - self.mean) / self.std).permute(0, 3, 1, 2)

    @abstractmethod
    def stages(self, picture: Tensor) -> Sequence[Tensor]:
        """The backbone: normalised (N, 3, S, S) -> (N, channels, side, side) at strides 4, 8, 16 and 32."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class."""
        stages = self.stages(self.normalised(pixels))
        lateral = self.neck.convs  # from coarse to fine
        coarse = functional.interpolate(lateral[0](stages[3]), scale_factor=2.0, mode="nearest")
        features = lateral[1](stages[2]) + coarse
        mid = _two_convs(stages[1], lateral[2], self.mid_conv)
        fine = _two_convs(stages[0], lateral[3], self.fine_conv)
        return features, mid, fine


def _two_convs(x: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """Two 1×1 convolutions with nothing between them are one: 9 times less work at stride 4 for nano."""
    assert first.bias is not None and second.bias is not None
    outer, inner = second.weight.flatten(1), first.weight.flatten(1)
    return functional.conv2d(x, (outer @ inner)[:, :, None, None], outer @ first.bias + second.bias)
