"""Pictures as the models want them: resized, tiled, normalised.

Published models learnt from pictures resized by PIL's bicubic filter; torch's with antialiasing computes the
same on bytes, to a level of rounding. What was trained here learnt from `engines.geometry`'s.
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
MOST_SLENDER: Final = 200
"Longer side over shorter one, as Qwen's own processor allows."

Resize = Callable[[Pixels, int, int], Pixels]
"A picture to a height and a width."


def normalise(
    pictures: NDArray[np.uint8],
    mean: tuple[float, float, float] = IMAGE_MEAN,
    std: tuple[float, float, float] = IMAGE_STD,
) -> Tensor:
    """(B, H, W, 3) uint8 RGB → (B, 3, H, W) float32; by ImageNet's mean and deviation, as both InternVL and
    SAM-2 want it, unless others are given.

    Sa2VA's own code rounds mean and deviation to bfloat16 before SAM-2 sees the picture, which moves a mask's
    logits by 0.5 % of their largest, and 1 to 25 pixels in ten thousand; this does not.
    """
    middle, width = torch.tensor(mean) * 255, torch.tensor(std) * 255
    return ((torch.from_numpy(pictures).float() - middle) / width).permute(0, 3, 1, 2).contiguous()


def bicubic(pixels: Pixels, height: int, width: int) -> Pixels:
    """(H, W, 3) uint8 → (height, width, 3) uint8 as PIL's BICUBIC, nearly always to the byte.

    First along rows, then along columns, as Pillow did when these models were trained; Pillow 13 begins with
    whichever costs less, which on high pictures of pure noise is seen.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    # A copy: pictures out of Ray's store are read-only, and torch warns of a tensor over one.
    planes = torch.from_numpy(np.array(pixels, order="C")).permute(2, 0, 1)[None]
    resized = functional.interpolate(planes, size=(height, width), mode="bicubic", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def as_trained_here(pixels: Pixels, height: int, width: int) -> Pixels:
    """To a square, as nano's training does it."""
    assert height == width
    return to_square(pixels, height)


def tiled(pixels: Pixels, side: int, most: int) -> NDArray[np.uint8]:
    """(H, W, 3) → (tiles + 1, side, side, 3): the picture in at most so many tiles, row by row, then the
    whole; only the whole where it is one tile.

    Source: `dynamic_preprocess` of InternVL, with thumbnail.
    """
    height, width = pixels.shape[:2]
    columns, rows = grid(width, height, side, most)
    whole = bicubic(pixels, side, side)[None]
    if columns * rows == 1:
        return whole
    large = bicubic(pixels, side * rows, side * columns).reshape(rows, side, columns, side, 3)
    return np.concatenate([large.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3), whole])


def grid(width: int, height: int, side: int, most: int) -> tuple[int, int]:
    """Columns and rows of tiles, at most so many, of the shape nearest to a picture's.

    Of grids equally near, the first one in order of size, unless the picture has more than half of the pixels
    of a later one.
    """
    shapes = [(i, j) for i in range(1, most + 1) for j in range(1, most + 1) if i * j <= most]
    best, nearest = (1, 1), math.inf
    for i, j in sorted(shapes, key=lambda shape: shape[0] * shape[1]):
        off = abs(width / height - i / j)
        if off < nearest or (off == nearest and width * height > 0.5 * side * side * i * j):
            best, nearest = (i, j), off
    return best


def within(height: int, width: int, factor: int, budget: tuple[int, int]) -> tuple[int, int]:
    """Height and width in multiples of `factor`, aspect nearly kept, with a number of pixels in the budget
    (least, most).

    Raises InvalidQuery where a picture is too slender. Source: `smart_resize` of Qwen2-VL's processor.
    """
    if max(height, width) > MOST_SLENDER * min(height, width):
        raise InvalidQuery(
            f"A picture of {width}x{height} px is too slender for this model.",
            remedy=f"Its longer side may be {MOST_SLENDER} times the shorter one.",
        )
    least, most = budget
    tall, wide = round(height / factor) * factor, round(width / factor) * factor
    if tall * wide > most:
        shrink = math.sqrt(height * width / most)
        return tuple(max(factor, math.floor(size / shrink / factor) * factor) for size in (height, width))  # type: ignore[return-value]
    if tall * wide < least:
        grow = math.sqrt(least / (height * width))
        return math.ceil(height * grow / factor) * factor, math.ceil(width * grow / factor) * factor
    return tall, wide
