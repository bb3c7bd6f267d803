"""nano's convolutional patch embedding."""

from __future__ import annotations

from torch import Tensor, nn


class ConvStem(nn.Module):
    """Convolutional patch embedding: strides of 2 down to the patch grid instead of one wide stride.

    For nano only: trained from scratch it learns shapes several times faster than the plain projection (Xiao
    et al., arXiv 2106.14881). `widths` are the channels at strides 4, 8, 16, …; the last is the vision
    encoder's width. `blocks` are the numbers of residual blocks at these strides; without them it is one at
    each but the last.
    """

    def __init__(self, widths: tuple[int, ...], blocks: tuple[int, ...] = ()) -> None:
        super().__init__()
        first, *rest = widths
        counts = blocks or (*(1 for _ in rest), 0)
        # Equals a 4 x 4 convolution of stride 4, but CPUs run it as one matrix product.
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(4),
            nn.Conv2d(48, first, kernel_size=1),
            nn.GELU(),
            *(_Residual(first) for _ in range(counts[0])),
        ]
        for before, after, count in zip(widths[:-1], rest, counts[1:], strict=True):
            layers += [nn.GroupNorm(1, before), nn.Conv2d(before, after, 3, 2, 1), nn.GELU()]
            layers += [_Residual(after) for _ in range(count)]
        layers.append(nn.Conv2d(widths[-1], widths[-1], kernel_size=1))
        self.layers = nn.Sequential(*layers)

    @property
    def weight(self) -> Tensor:
        """The first weight: transformers reads the dtype of the plain projection's weight."""
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
