"""RepViT-M1 (arXiv 2307.09283), EdgeTAM's backbone, and EdgeTAM's image encoder.

Convolutions only. Modules are named as in timm's `repvit_m1` (its `legacy` form), like the tensors in the
official `edgetam.pt` and in transformers' checkpoints. The backbone is registered with transformers as the
model type `saccade_repvit`, so that `EdgeTamVideoModel` needs neither timm nor torchvision.

The parallel convolutions and batch norms of training are folded into one convolution for inference
(`folded`).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, EdgeTamVideoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from engines.tracking.image_encoder import ImageEncoder


class RepVitConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Sizes of a RepViT; the defaults are M1's."""

    model_type = "saccade_repvit"

    widths: tuple[int, ...] | list[int] = (48, 96, 192, 384)
    "Channels of each stage."
    depths: tuple[int, ...] | list[int] = (2, 2, 14, 2)
    "Blocks of each stage, without the downsampling block."


class RepVitBackbone(PreTrainedModel):  # type: ignore[no-untyped-call]
    """RepViT as a transformers backbone: normalised pixels (N, 3, S, S) -> `last_hidden_state`, a list."""

    config_class = RepVitConfig
    main_input_name = "pixel_values"
    # There is no attention here; transformers needs the flag to enable SDPA for the whole EdgeTAM.
    _supports_sdpa = True

    def __init__(self, config: RepVitConfig) -> None:
        super().__init__(config)
        self.timm_model = RepVit(config.widths, config.depths)  # the name in checkpoints
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutput:
        """See the class."""
        return BaseModelOutput(last_hidden_state=self.timm_model(pixel_values))


AutoConfig.register(RepVitConfig.model_type, RepVitConfig, exist_ok=True)
AutoModel.register(RepVitConfig, RepVitBackbone, exist_ok=True)


class RepVitImageEncoder(ImageEncoder):
    """RepViT and the neck; see `ImageEncoder`."""

    def __init__(self, model: EdgeTamVideoModel) -> None:
        super().__init__(model)
        self.backbone = folded(model.vision_encoder.backbone.timm_model)

    def stages(self, image: Tensor) -> Sequence[Tensor]:
        """See `ImageEncoder.stages`."""
        stages: list[Tensor] = self.backbone(image)
        return stages


class RepVit(nn.Module):
    """(N, 3, S, S) -> (N, widths[k], side, side) at strides 4, 8, 16 and 32."""

    def __init__(self, widths: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        self.stem = _Stem(widths[0])
        before = widths[0]
        for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            self.add_module(f"stages_{index}", _Stage(before, width, depth, downsamples=index > 0))
            before = width
        self.count = len(widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """See the class."""
        x = self.stem(x)
        stages = []
        for index in range(self.count):
            x = self.get_submodule(f"stages_{index}")(x)
            stages.append(x)
        return stages


def folded(trained: RepVit) -> RepVit:
    """Return a copy for inference: the same function, a third of the convolutions, no norms."""
    copy = deepcopy(trained).eval()
    for parent in list(copy.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _ConvNorm | _TokenMixer):
                setattr(parent, name, child.folded())
    return copy


class _ConvNorm(nn.Module):
    """A convolution, padded to keep the size or divide it by the stride, and its batch norm."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.c = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.c(x))  # type: ignore[no-any-return]

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        assert self.bn.running_mean is not None and self.bn.running_var is not None
        scale = self.bn.weight / torch.sqrt(self.bn.running_var + self.bn.eps)
        return _with(self.c, self.c.weight * scale[:, None, None, None], _shift(self.bn, scale))


class _TokenMixer(nn.Module):
    """Sum of a 3×3 depthwise convolution, a 1×1 depthwise convolution and the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _ConvNorm(width, width, kernel=3, groups=width)
        self.conv1 = _ConvNorm(width, width, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) + self.conv1(x) + x  # type: ignore[no-any-return]

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        conv, conv1 = self.conv.folded(), self.conv1.folded()
        assert conv.bias is not None and conv1.bias is not None
        weight = conv.weight + functional.pad(conv1.weight + 1, (1, 1, 1, 1))
        return _with(conv, weight, conv.bias + conv1.bias)


class _ChannelMixer(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _ConvNorm(width, 2 * width)
        self.conv2 = _ConvNorm(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(functional.gelu(self.conv1(x)))  # type: ignore[no-any-return]


class _SqueezeExcite(nn.Module):
    """Scale every channel by a gate computed from the channel means (squeeze and excitation)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(8, (width // 4 + 4) // 8 * 8)  # a quarter, to the nearest multiple of 8
        self.fc1 = nn.Conv2d(width, inner, 1)
        self.fc2 = nn.Conv2d(inner, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.fc2(functional.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class _Block(nn.Module):
    def __init__(self, width: int, *, gated: bool) -> None:
        super().__init__()
        self.token_mixer = _TokenMixer(width)
        self.se = _SqueezeExcite(width) if gated else nn.Identity()
        self.channel_mixer = _ChannelMixer(width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.se(self.token_mixer(x))
        return x + self.channel_mixer(x)  # type: ignore[no-any-return]


class _Stem(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _ConvNorm(3, width // 2, kernel=3, stride=2)
        self.conv2 = _ConvNorm(width // 2, width, kernel=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(functional.gelu(self.conv1(x)))  # type: ignore[no-any-return]


class _Downsample(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.pre_block = _Block(in_channels, gated=False)
        self.spatial_downsample = _ConvNorm(in_channels, in_channels, kernel=3, stride=2, groups=in_channels)
        self.channel_downsample = _ConvNorm(in_channels, out_channels)
        self.ffn = _ChannelMixer(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.channel_downsample(self.spatial_downsample(self.pre_block(x)))
        return x + self.ffn(x)  # type: ignore[no-any-return]


class _Stage(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, depth: int, *, downsamples: bool) -> None:
        super().__init__()
        self.downsample = _Downsample(in_channels, out_channels) if downsamples else nn.Identity()
        self.blocks = nn.Sequential(*(_Block(out_channels, gated=index % 2 == 0) for index in range(depth)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.downsample(x))  # type: ignore[no-any-return]


def _with(like: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """Return a convolution of the same geometry with other parameters."""
    conv: nn.Conv2d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Conv2d,
        like.in_channels,
        like.out_channels,
        like.kernel_size,
        like.stride,
        like.padding,
        groups=like.groups,
    )
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
    return conv.requires_grad_(False)


def _shift(norm: nn.BatchNorm2d, scale: Tensor) -> Tensor:
    assert norm.running_mean is not None
    return norm.bias - norm.running_mean * scale
