"""Image processing: resize, cut into tiles, normalise.

Published models were trained on images resized by PIL's bicubic filter; torch's bicubic with antialiasing
gives the same bytes but for rounding. Models trained here use the resizing of `engines.geometry`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from engines.geometry import to_square
from streaming.errors import InvalidQuery
from streaming.vocabulary import Pixels

IMAGE_MEAN: Final = (0.485, 0.456, 0.406)
IMAGE_STD: Final = (0.229, 0.224, 0.225)
MAX_ASPECT: Final = 200
"Longer side over shorter side at most, as in Qwen's own image processor."

Resize = Callable[[Pixels, int, int], Pixels]
"Resizes an image (H, W, 3) uint8 to a height and a width."


def normalise(
    images: NDArray[np.uint8],
    mean: tuple[float, float, float] = IMAGE_MEAN,
    std: tuple[float, float, float] = IMAGE_STD,
) -> Tensor:
    """(B, H, W, 3) uint8 RGB → (B, 3, H, W) float32, by default with ImageNet's mean and standard deviation,
    which InternVL and SAM-2 use.

    Sa2VA's own code rounds both to bfloat16 for SAM-2, which changes mask logits by 0.5 % of the largest and
    1 to 25 pixels in ten thousand; here they are float32.
    """
    mean_255, std_255 = torch.tensor(mean) * 255, torch.tensor(std) * 255
    return ((torch.from_numpy(images).float() - mean_255) / std_255).permute(0, 3, 1, 2).contiguous()


def bicubic(pixels: Pixels, height: int, width: int) -> Pixels:
    """(H, W, 3) uint8 → (height, width, 3) uint8 like PIL's BICUBIC, to the byte but for rounding.

    Rows first, then columns, as in Pillow when these models were trained. Pillow 13 starts with the cheaper
    direction, which differs visibly only on tall images of noise.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    # A copy: arrays from Ray's object store are read-only, and torch warns of tensors that share them.
    planes = torch.from_numpy(np.array(pixels, order="C")).permute(2, 0, 1)[None]
    resized = functional.interpolate(planes, size=(height, width), mode="bicubic", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def halving_bilinear(pixels: Pixels, height: int, width: int) -> Pixels:
    """Resize to a square with `engines.geometry.to_square`, as in nano's training."""
    assert height == width
    return to_square(pixels, height)


def tiled(pixels: Pixels, side: int, max_tiles: int) -> NDArray[np.uint8]:
    """(H, W, 3) → (tiles + 1, side, side, 3): at most `max_tiles` tiles, row by row, then the whole image;
    (1, side, side, 3), the whole image alone, if there is one tile.

    Source: `dynamic_preprocess` of InternVL, with thumbnail.
    """
    height, width = pixels.shape[:2]
    columns, rows = grid(width, height, side, max_tiles)
    whole = bicubic(pixels, side, side)[None]
    if columns * rows == 1:
        return whole
    large = bicubic(pixels, side * rows, side * columns).reshape(rows, side, columns, side, 3)
    return np.concatenate([large.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3), whole])


def grid(width: int, height: int, side: int, max_tiles: int) -> tuple[int, int]:
    """Return columns and rows of at most `max_tiles` tiles, with the aspect ratio nearest to the image's.

    Of several grids with the same ratio the smallest, unless the image has more than half of the pixels of a
    larger grid.
    """
    shapes = [(i, j) for i in range(1, max_tiles + 1) for j in range(1, max_tiles + 1) if i * j <= max_tiles]
    best, smallest = (1, 1), math.inf
    for i, j in sorted(shapes, key=lambda shape: shape[0] * shape[1]):
        error = abs(width / height - i / j)
        if error < smallest or (error == smallest and width * height > 0.5 * side * side * i * j):
            best, smallest = (i, j), error
    return best


def smart_resize(height: int, width: int, factor: int, budget: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width to resize to: multiples of `factor`, pixels within `budget` (min, max).

    The aspect ratio is nearly kept.
    Raises InvalidQuery if the image is too slender. Source: `smart_resize` of Qwen2-VL's image processor.
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise InvalidQuery(
            f"A picture of {width}x{height} px is too slender for this model.",
            remedy=f"Its longer side may be {MAX_ASPECT} times the shorter one.",
        )
    min_pixels, max_pixels = budget
    tall, wide = round(height / factor) * factor, round(width / factor) * factor
    if tall * wide > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        return tuple(max(factor, math.floor(size / shrink / factor) * factor) for size in (height, width))  # type: ignore[return-value]
    if tall * wide < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        return math.ceil(height * grow / factor) * factor, math.ceil(width * grow / factor) * factor
    return tall, wide
