"""A convolutional patch embedding, which only nano has."""

from __future__ import annotations

from torch import Tensor, nn


class PatchStem(nn.Module):
    """A convolutional patch embedding: strides of 2 down to the patch grid instead of one wide stride.

    nano only: from scratch it learns shapes several times faster than the plain projection (Xiao et al.,
    arXiv 2106.14881). `widths` are the channels after each halving of the size, the last one the tower's
    own.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        first, *rest = widths
        # 4 x 4 pixels folded into channels: a stride-4 convolution that CPUs run as a matrix product.
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, first, kernel_size=1),
            nn.GELU(),
            _Residual(first),
        ]
        for before, after in zip(widths[:-1], rest, strict=True):
            layers += [nn.GroupNorm(1, before), nn.Conv2d(before, after, 3, 2, 1), nn.GELU()]
            layers += [_Residual(after)] if after != widths[-1] else []
        layers.append(nn.Conv2d(widths[-1], widths[-1], kernel_size=1))
        self.layers = nn.Sequential(*layers)

    @property
    def weight(self) -> Tensor:
        """Stands for the plain projection's weight, of which callers ask the dtype."""
        first = self.layers[1]
        assert isinstance(first, nn.Conv2d)
        return first.weight

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) → (B, C, H / stride, W / stride)."""
        grid: Tensor = self.layers(pixels)
        return grid


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.conv = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + nn.functional.gelu(self.conv(self.norm(x)))
