"""Between the source's picture and a model's square one. Aspect is not kept: SAM-2 squeezes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming.vocabulary import Logits, Pixels


def to_square(pixels: Pixels, side_px: int) -> Pixels:
    """(H, W, 3) uint8 RGB -> (side, side, 3) uint8 RGB.

    Averages where the picture shrinks (thin things do not flicker), interpolates where it grows.
    """
    height, width = pixels.shape[:2]
    if (height, width) == (side_px, side_px):
        return np.ascontiguousarray(pixels)
    shrinks = min(height, width) >= side_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, (side_px, side_px), interpolation=how), dtype=np.uint8)


def to_size(logits: Logits, side_px: int) -> NDArray[np.bool_]:
    """(h, w) logits -> (side, side) bool: where they are > 0, enlarged or shrunk bilinearly first."""
    if logits.shape == (side_px, side_px):
        return logits > 0
    mask: NDArray[np.bool_] = cv2.resize(logits, (side_px, side_px), interpolation=cv2.INTER_LINEAR) > 0
    return mask


def to_prompt(logits: Logits, side_px: int) -> NDArray[np.float32]:
    """(h, w) logits of a whole picture -> (side, side) float32 mask, 1 where they are > 0."""
    return to_size(logits, side_px).astype(np.float32)


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks of one shape, 0 where both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 0.0
