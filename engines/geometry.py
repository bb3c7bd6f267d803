"""Between the source's picture and a model's square one. Aspect is not kept: SAM-2 squeezes."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming.vocabulary import Logits, Pixels


def to_square(pixels: Pixels, side_px: int) -> Pixels:
    """(H, W, 3) uint8 RGB -> (side, side, 3) uint8 RGB.

    Halved while it is twice as large (bilinear at one half is the mean of neighbours, so that thin things do
    not flicker), then bilinear: a fifth of the time of OpenCV's area interpolation.
    """
    return np.ascontiguousarray(_scaled(pixels, side_px, side_px))


def to_fit(pixels: Pixels, longest_px: int) -> Pixels:
    """(H, W, 3) uint8 RGB, shrunk as by `to_square` until its longer side is `longest_px`, aspect kept.

    A picture that fits is returned as it is, not copied.
    """
    height, width = pixels.shape[:2]
    share = min(1.0, longest_px / max(height, width))
    return _scaled(pixels, max(1, round(share * height)), max(1, round(share * width)))


def _scaled(pixels: Pixels, new_height: int, new_width: int) -> Pixels:
    height, width = pixels.shape[:2]
    while height >= 2 * new_height or width >= 2 * new_width:
        height = height // 2 if height >= 2 * new_height else height
        width = width // 2 if width >= 2 * new_width else width
        pixels = _resized(pixels, height, width)
    return _resized(pixels, new_height, new_width)


def _resized(pixels: Pixels, height: int, width: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def to_size(logits: Logits, side_px: int) -> NDArray[np.bool_]:
    """(h, w) logits -> (side, side) bool: where they are > 0, enlarged or shrunk bilinearly first."""
    if logits.shape == (side_px, side_px):
        return logits > 0
    mask: NDArray[np.bool_] = cv2.resize(logits, (side_px, side_px), interpolation=cv2.INTER_LINEAR) > 0
    return mask


def to_prompt(logits: Logits, side_px: int) -> NDArray[np.float32]:
    """(h, w) logits of a whole picture -> (side, side) float32 mask, 1 where they are > 0."""
    return to_size(logits, side_px).astype(np.float32)


def quartered(masks: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, S, S) -> (N, S/4, S/4), each cell a weighted mean of the 8 x 8 around it: PyTorch's bilinear
    interpolation with `antialias=True`."""
    weights = _quartering(masks.shape[-1])
    return np.ascontiguousarray(weights @ (masks @ weights.T))


@lru_cache(maxsize=4)
def _quartering(side: int) -> NDArray[np.float32]:
    """(side/4, side): what each place adds to each cell; the tent is cut off at the edges, its sum kept."""
    centres = 4 * np.arange(side // 4)[:, None] + 2
    tent = np.clip(1 - np.abs(np.arange(side) + 0.5 - centres) / 4, 0, None)
    weights: NDArray[np.float32] = (tent / tent.sum(axis=1, keepdims=True)).astype(np.float32)
    return weights


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks of one shape, 0 where both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0
